//! What the screen has done for it outside of the machine: each wish is carried out on a thread of its
//! own, so that no frame waits for a disk, a server or another program.

use super::pictures::Drawable;
use crate::exit::Failure;
use crate::machine::Machine;

/// A machine to be started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opening {
    /// Its model, where that is not as the settings say.
    pub model: Option<String>,
    /// The session that goes on; a new one when none.
    pub session: Option<String>,
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// List the files of the folder that the user is in and of these mounted ones.
    Names {
        /// The mounted folders.
        roots: Vec<String>,
    },
    /// Run a command of the user's own, in the folder that the user is in.
    Run {
        /// The command, for the user's shell.
        command: String,
    },
    /// Grant a right to a plugin for ever.
    Grant {
        /// The plugin.
        plugin: String,
        /// The right, such as `net:api.example.com`.
        right: String,
    },
    /// List the models.
    Models,
    /// List the sessions.
    Sessions,
    /// Read what was said in a session, to come with the next input.
    Recount {
        /// Its name.
        session: String,
    },
    /// Go back to before one of the session's events: begin a session that goes on from there.
    Rewind {
        /// The session.
        session: String,
        /// The number of the event.
        before: u64,
    },
    /// Write a file that is not there yet.
    Write {
        /// Its path; from the folder that the user is in.
        path: String,
        /// What is in it.
        text: String,
    },
    /// Read some lines of a file.
    Read {
        /// Its path.
        path: String,
        /// First and last line, counted from 1.
        lines: (u32, u32),
    },
    /// Read a picture.
    Picture {
        /// Its file.
        path: String,
    },
    /// Use this model from now on.
    Use {
        /// Its name.
        model: String,
    },
}

/// What came of a wish.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Of [`Wish::Names`]: files as one writes them from the folder that the user is in.
    Names {
        /// The files.
        files: Vec<String>,
    },
    /// Of [`Wish::Run`]: what ran, and what it wrote with its exit where that was no success.
    Ran {
        /// The command.
        command: String,
        /// Its output.
        output: String,
    },
    /// Of [`Wish::Models`].
    Models(Vec<ModelRow>),
    /// Of [`Wish::Sessions`].
    Sessions(Vec<SessionRow>),
    /// Of [`Wish::Recount`].
    Recounted {
        /// The session.
        session: String,
        /// What was said, in Markdown.
        text: String,
    },
    /// Of [`Wish::Rewind`].
    Rewound {
        /// The session that goes on from there.
        session: String,
        /// What became of files that tools had changed since, a line each.
        files: Vec<String>,
    },
    /// Of [`Wish::Read`].
    Text {
        /// What it is.
        title: String,
        /// The text.
        text: String,
    },
    /// Of [`Wish::Picture`].
    Picture {
        /// Its file.
        path: String,
        /// As the terminal takes it.
        picture: Drawable,
    },
    /// Something was done, in words.
    Done(String),
    /// Something failed: what, on what, and what to do.
    Failed(String),
}

impl Answer {
    /// Reads a picture.
    ///
    /// # Errors
    /// Words for a person.
    pub fn picture(path: String) -> Result<Self, String> {
        let picture = Drawable::load(&path)?;
        Ok(Self::Picture { path, picture })
    }
}

/// A model that can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRow {
    /// Its name.
    pub name: String,
    /// Its size.
    pub size: String,
    /// Whether it is on this machine.
    pub is_here: bool,
    /// Whether it is the one that is chosen when none is named.
    pub is_chosen: bool,
    /// What it is good for.
    pub about: String,
}

/// A session of before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Its name.
    pub name: String,
    /// When it began, for a person.
    pub began: String,
    /// The folder it began in.
    pub folder: String,
    /// How many turns it had.
    pub turns: usize,
    /// What was asked last.
    pub asked: String,
}

/// What does all this.
pub trait Host: Send + Sync {
    /// Starts a machine.
    ///
    /// # Errors
    /// When the settings, the journal or the index cannot be used.
    fn open(&self, opening: &Opening) -> Result<Machine, Failure>;

    /// Carries out a wish.
    fn carry_out(&self, wish: Wish) -> Answer;
}
