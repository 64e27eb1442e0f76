//! What each command is: the help of the screen, and the pages of the book are made of it.

/// One command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manual {
    /// Its name, with the slash.
    pub name: &'static str,
    /// What follows it; in brackets where that can be left out.
    pub argument: &'static str,
    /// What it does, in a line.
    pub short: &'static str,
    /// The same at length.
    pub long: &'static str,
    /// What one types, as an example that is tried by the tests.
    pub example: &'static str,
}

impl Manual {
    /// Whether it means nothing without an argument.
    pub fn needs_argument(&self) -> bool {
        !self.argument.is_empty() && !self.argument.starts_with('[')
    }
}

/// The command of this name.
pub fn find(name: &str) -> Option<&'static Manual> {
    COMMANDS.iter().find(|command| command.name == name)
}

const fn command(
    name: &'static str,
    argument: &'static str,
    short: &'static str,
    long: &'static str,
    example: &'static str,
) -> Manual {
    Manual { name, argument, short, long, example }
}

/// All of them.
pub const COMMANDS: [Manual; 28] = [
    command(
        "/help",
        "[COMMAND]",
        "keys and commands, or one command at length",
        "Shows all keys and commands, or what one command does, with an example.",
        "/help /pin",
    ),
    command(
        "/mem",
        "",
        "show or hide what is in the model's memory",
        "Shows the window as a map: each page a block as wide as its tokens, bright when it was needed in \
         this turn, pale when it was not; below, each page with its tokens and where it came from. Marked \
         with + are pages that just came in, with - those that just left. F6 gives the pane the keys: Up \
         and Down choose a page, Enter shows it, p pins, u unpins and e evicts it, Esc goes back.",
        "/mem",
    ),
    command(
        "/page",
        "p42",
        "show one page of memory",
        "Shows a page word for word, with its size and where it came from. Pages are named under answers, \
         in the memory pane and by /search.",
        "/page p1",
    ),
    command(
        "/pin",
        "p42",
        "keep a page in memory",
        "The page stays in the window until it is unpinned, whatever else has to leave. One that had left \
         is brought back first.",
        "/pin p2",
    ),
    command(
        "/unpin",
        "p42",
        "no longer keep it there",
        "The page may leave the window again when room is needed.",
        "/unpin p2",
    ),
    command(
        "/evict",
        "p42",
        "take a page out of memory; it can be found and read again",
        "The page leaves the window now. It is not lost: what was said is still searched, and a file's page \
         is read again when a question needs it.",
        "/evict p2",
    ),
    command(
        "/remember",
        "TEXT",
        "keep a fact for this and all later sessions",
        "The fact is known in every turn from now on. All of them stand in memory.md in Lucid's data folder, \
         which you may edit.",
        "/remember My server is called Ada.",
    ),
    command(
        "/forget",
        "p42",
        "drop such a fact",
        "The fact on this page is not known any more. /mem shows which page it is.",
        "/forget p12",
    ),
    command(
        "/search",
        "QUERY",
        "search the mounted folders",
        "Lists the pages that match best, without asking the model. Alt-Up and Alt-Down choose one, Enter \
         shows it at its lines.",
        "/search port",
    ),
    command(
        "/fork",
        "",
        "go on in a new conversation that knows all of this one, which stays as it is",
        "Both share what they have in common in memory. /fg goes back.",
        "/fork",
    ),
    command(
        "/new",
        "",
        "go on in a new conversation that knows nothing yet",
        "What is under way in this one goes on. /fg goes back.",
        "/new",
    ),
    command(
        "/ps",
        "",
        "show or hide the conversations",
        "Shows each conversation with what it does, the tokens in its window, how long its turn takes, and \
         its tool. With the keys (F6): Enter goes on with one, c cancels its turn, k ends it.",
        "/ps",
    ),
    command(
        "/jobs",
        "",
        "list what is under way",
        "Lists the conversations that have a turn under way, in the background or not, and mounts.",
        "/jobs",
    ),
    command(
        "/fg",
        "t1",
        "go on with another conversation",
        "What is typed from now on goes to it. The turn of the one before goes on in the background.",
        "/fg t1",
    ),
    command(
        "/bg",
        "[QUESTION]",
        "ask in the background, or let the turn go on there",
        "With a question: it is asked in a conversation of its own, which knows what this one does, and you \
         can go on at once. Alone, while an answer is under way (or Ctrl-T): the answer goes on in the \
         background, and you go on in a new conversation. A line says when it is done.",
        "/bg Count to three.",
    ),
    command(
        "/think",
        "QUESTION",
        "ask three times, and go on with the answer that most agree on",
        "The question is asked in three conversations of their own, once as always and twice with other draws; \
         answers agree when they come to the same number, or say the same words. It takes about three times \
         as long. All three stay to be looked at.",
        "/think What is 17 times 23?",
    ),
    command(
        "/kill",
        "t2",
        "end a conversation",
        "Its turn is cancelled and nothing can be said to it any more. What was said stays in the journal.",
        "/kill t4",
    ),
    command(
        "/tools",
        "",
        "list what the model can call, and what each may still ask for",
        "Lists the tools of the built-in and installed plugins with the rights that they would ask for.",
        "/tools",
    ),
    command(
        "/grant",
        "PLUGIN RIGHT",
        "let a plugin do something from now on",
        "The same as `lucid plugin grant`: the right holds until `lucid plugin revoke` takes it back. A \
         folder may begin with ~.",
        "/grant files read:~/notes",
    ),
    command(
        "/model",
        "[NAME]",
        "list the models, or go on with another one",
        "With a name: that model is loaded, fetched first where it is not there, and a new session begins \
         with it. `lucid model use` chooses it for later sessions too.",
        "/model",
    ),
    command(
        "/sessions",
        "[NAME]",
        "list the sessions, or go on with one of before",
        "With a name: this session ends, and that one goes on with all that it knew.",
        "/sessions",
    ),
    command(
        "/rewind",
        "[N]",
        "list the turns, or go back to before one",
        "With a number: a session begins that knows what this one did before that turn; this one is kept \
         and stays among /sessions. Files that tools had changed since are put back as they were, unless \
         somebody else changed them too, which is said.",
        "/rewind",
    ),
    command(
        "/export",
        "md|json|html [FILE]",
        "write this conversation into a file",
        "Writes what was said and done, with calls and sources. A file that is there is not overwritten. \
         Without a name it is called after the session.",
        "/export md talk.md",
    ),
    command(
        "/copy",
        "[code]",
        "put the last answer, or its last code, onto the clipboard",
        "Works over SSH too, where the terminal takes it (OSC 52). In tmux: set -g set-clipboard on.",
        "/copy",
    ),
    command(
        "/mount",
        "DIR",
        "let answers come from the files of a folder",
        "Indexes the folder, or brings its index up to date. Hidden files and likely secrets are left out.",
        "/mount .",
    ),
    command(
        "/umount",
        "DIR",
        "take a folder out",
        "Answers do not come from its files any more. The files stay as they are.",
        "/umount .",
    ),
    command("/mounts", "", "list the mounted folders", "With their files and pages.", "/mounts"),
    command("/quit", "", "leave", "As Ctrl-D on an empty line does. `lucid --continue` goes on.", "/quit"),
];
