//! The turn of a process: from the input to the end, one answered effect at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::json;

use super::{
    Answer, MAX_CUTS, MAX_DECODES_PER_TURN, NewPage, Phase, Process, ResultText, Step, Then, Turn, Why,
    failed, swap,
};
use crate::abi::{
    Call, CallReport, Decoded, Effect, EffectId, Encoded, Fault, FaultKind, FileRange, Label, MemoryUse,
    Outcome, PageId, PageRequest, Provenance, Recall, Role, Secrecy, SourcePage, StopReason, TokenCount,
    ToolSpec, Trust, TurnEnd, TurnOptions, Usage,
};
use crate::citation;
use crate::error::KernelError;
use crate::grammar;
use crate::kernel::Config;
use crate::memory::page::Place;
use crate::memory::window::Slot;
use crate::memory::{Content, Page, PageKind, layout};
use crate::policy::Verdict;
use crate::prompt;
use crate::relevance::{Words, words};
use crate::routing::{self, Choice};
use crate::syscall::{self, Syscall};

/// So many found pages are looked at.
const MAX_FOUND: usize = 64;

/// A found page must hold at least this part of the query's words.
const MIN_SCORE: f32 = 0.25;

impl Process {
    /// The user said something.
    pub(crate) fn input(
        &mut self,
        content: Encoded,
        attached: Vec<SourcePage>,
        options: TurnOptions,
        step: &mut Step<'_>,
    ) -> Result<(), KernelError> {
        if !self.is_idle() {
            return Err(KernelError::ProcessBusy(self.pid));
        }
        if content.text.trim().is_empty() {
            return Err(KernelError::Empty);
        }
        if let Some(schema) = &options.schema {
            jsonschema::validator_for(schema).map_err(|error| KernelError::BadSchema {
                what: "the answer".into(),
                reason: error.to_string(),
            })?;
        }
        self.turns += 1;
        let room = self.room(Role::User, step.config);
        let attached_tokens: TokenCount = attached.iter().map(|page| page.content.count()).sum();
        let tokens = content.count().saturating_add(attached_tokens);
        if tokens > room {
            self.turns -= 1;
            let what =
                if content.count() > room { "the question" } else { "the question with what came with it" };
            let (window, remedy) = (step.config.engine.n_ctx, self.remedy());
            return Err(KernelError::TooLarge { what: what.into(), tokens, room, window, remedy });
        }
        let question = content.text.to_string();
        let place = Place { turn: self.turns, message: 0 };
        self.turn = Some(Turn {
            wanted: words(&question),
            question: question.clone(),
            pending: None,
            input: Vec::new(),
            from_message: 1,
            memory: MemoryUse::default(),
            choice: if options.tools { self.route(&question, step.config) } else { Choice::Answer },
            messages: 1,
            calls: Vec::new(),
            made: Vec::new(),
            due: VecDeque::new(),
            end: None,
            usage: Usage::default(),
            decodes: 0,
            cancelled: false,
            options,
        });
        for source in attached {
            step.ids.given(source.id);
            self.note_input(source.id);
            let content = Content::of(&source);
            let (page, content) = source_page(source, content, place, Role::User, step.event);
            // It fits, as was found above.
            self.admit(page, content, step);
        }
        let pending = step.ids.page();
        let page = NewPage {
            id: pending,
            kind: PageKind::Turn,
            role: Role::User,
            place,
            provenance: Provenance::User,
            label: Label::public(Trust::User),
        };
        let (page, content) = page.page(Content::plain(content), step.event);
        self.note_input(pending);
        self.table.insert(page, content);
        let told = self.tell_tools(room.saturating_sub(tokens), step);
        let free = room.saturating_sub(tokens + told);
        let budget = self.prefetch_budget(free, step.config);
        let Some(turn) = &mut self.turn else { return Ok(()) };
        turn.pending = Some(pending);
        let is_more = step.config.has_disk || self.swapped > 0;
        if turn.options.prefetch && is_more && budget > 0 {
            let (id, first) = self.page_in(question, budget, free, step);
            self.phase = Phase::Paging { id, first };
        } else {
            self.admit_pending(step);
            self.queue(step);
        }
        Ok(())
    }

    pub(super) fn note_input(&mut self, page: PageId) {
        if let Some(turn) = &mut self.turn {
            turn.input.push(page);
        }
    }

    /// The user wants the turn to end. What is under way is told to stop; its own answer
    /// ends the turn, so nothing is left hanging.
    pub(crate) fn cancel(&mut self, step: &mut Step<'_>) {
        let Some(turn) = &mut self.turn else { return };
        turn.cancelled = true;
        let open: Vec<Effect> = self.open_effects().map(|id| Effect::Cancel { id }).collect();
        if open.is_empty() {
            step.scheduler.forget(self.pid);
            self.end(TurnEnd::Cancelled, String::new(), step);
        }
        step.out.extend(open);
    }

    /// Nothing that was under way still is.
    pub(crate) fn restarted(&mut self, step: &mut Step<'_>) {
        if self.turn.is_none() {
            // A page that was to be pinned is not, and can be pinned again.
            self.phase = Phase::Idle;
            return;
        }
        self.admit_pending(step);
        let message = "the program ended before this was answered; ask again";
        let end = failed(FaultKind::OutcomeUnknown, message);
        if !self.cut_off_calls(&end, step) {
            self.end(end, String::new(), step);
        }
    }

    /// The effect that the process waits for was answered.
    pub(crate) fn answered(
        &mut self,
        id: EffectId,
        answer: Answer,
        step: &mut Step<'_>,
    ) -> Result<(), KernelError> {
        match (self.phase.clone(), answer) {
            (Phase::Paging { first, .. }, Answer::PagedIn(outcome)) => self.prefetched(first, outcome, step),
            (Phase::Searching { first, .. }, Answer::PagedIn(outcome)) => self.searched(first, outcome, step),
            (Phase::Recalling { page, why, .. }, Answer::PagedIn(outcome)) => {
                self.recalled(page, why, outcome, step);
            }
            (Phase::Decoding { .. }, Answer::Decoded(outcome)) => {
                step.scheduler.done(id);
                self.decoded(outcome, step);
            }
            (Phase::Asking { call, .. }, Answer::Allowed(extent)) => {
                let allow = extent.is_some();
                if self.is_cancelled() {
                    self.end(TurnEnd::Cancelled, String::new(), step);
                } else if syscall::is_of_memory(&call.tool) {
                    match allow {
                        true => self.change_core(call, step),
                        false => self.refuse(&call, UNASKED, step),
                    }
                } else if call.tool == syscall::SEND_PAGES {
                    self.answer_send(allow, "nobody allowed it", step);
                } else {
                    self.answered_call(&call, extent, step);
                }
            }
            (Phase::Calling, Answer::Returned(outcome)) => self.returned(id, outcome, step),
            (Phase::Encoding { text, then, .. }, Answer::Encoded(outcome)) => {
                self.encoded(text, then, outcome, step);
            }
            _ => return Err(KernelError::WrongAnswer(id)),
        }
        Ok(())
    }

    /// The engine is free: decode, unless private pages would leave the machine unasked.
    pub(crate) fn decode(&mut self, step: &mut Step<'_>) {
        if let Some(call) = self.sending(step.config) {
            return match step.config.policy.check_or(&call, Verdict::Ask) {
                Verdict::Allow => self.answer_send(true, "", step),
                Verdict::Deny => self.answer_send(false, "a rule denies it", step),
                Verdict::Ask => {
                    let reason = "these pages are from your own files and would leave this machine; yes \
                                  holds for this conversation";
                    self.ask(call, reason.into(), step);
                }
            };
        }
        let Some(turn) = &mut self.turn else { return };
        turn.decodes += 1;
        let calls = u32::try_from(turn.made.len()).unwrap_or(u32::MAX);
        if turn.decodes >= MAX_DECODES_PER_TURN || calls >= step.config.max_calls_per_turn {
            turn.choice = Choice::Answer;
        }
        if turn.options.schema.is_some() && !matches!(turn.choice, Choice::Must(_)) {
            turn.choice = Choice::Answer;
        }
        let segments = layout::segments(&self.window, &self.table, &step.config.chat);
        let prompt = layout::count(&segments);
        let reused = self.sent.reused(&segments, step.config.engine.closes_gaps);
        turn.memory.expected_reused += reused;
        turn.memory.expected_prefilled += prompt - reused;
        self.sent.send(&segments);
        let free = step.config.engine.n_ctx.saturating_sub(prompt);
        let asked = turn.options.max_tokens.unwrap_or(step.config.reserve_tokens);
        let id = step.ids.effect();
        step.scheduler.run(id);
        step.out.push(Effect::Decode {
            id,
            pid: self.pid,
            layout: segments,
            grammar: grammar_of(turn, &self.tools, step.config.max_calls_per_turn),
            sampling: turn.options.sampling,
            max_tokens: asked.clamp(1, free.max(1)),
            show: !matches!(turn.choice, Choice::Must(_)),
        });
        self.phase = Phase::Decoding { id };
    }

    /// The sending of private pages to an engine elsewhere, as a call that policy can check. None
    /// when nothing private is resident, or it is allowed.
    fn sending(&self, config: &Config) -> Option<Call> {
        let host = config.engine.host.as_ref().filter(|_| !self.may_send)?;
        let resident = self.window.slots().iter().filter_map(|slot| self.table.get(slot.page));
        let private = resident.filter(|page| page.label.secrecy == Secrecy::Private);
        let pages: Vec<String> = private.map(|page| page.id.to_string()).collect();
        let arguments = json!({ "to": host, "pages": pages });
        (!pages.is_empty()).then(|| Call { tool: syscall::SEND_PAGES.into(), arguments })
    }

    fn answer_send(&mut self, allow: bool, why_not: &str, step: &mut Step<'_>) {
        if allow {
            self.may_send = true;
            return self.queue(step);
        }
        let message = format!(
            "private pages were not sent to the engine: {why_not}; ask an engine on this machine, or allow \
             it with a rule for {}",
            syscall::SEND_PAGES
        );
        self.end(failed(FaultKind::Denied, message), String::new(), step);
    }

    /// What may be called for this input. Reading a page is offered only where one is named.
    fn route(&self, question: &str, config: &Config) -> Choice {
        let told = self.tools.iter().find(|tool| syscall::tells(question, &tool.name));
        if let Some(tool) = told {
            return Choice::Must(vec![tool.name.clone()]);
        }
        let names_page = citation::named(question).any(|id| self.table.get(id).is_some());
        let offered = self.tools.iter().filter(|tool| match tool.name.as_str() {
            syscall::READ => names_page,
            syscall::SEARCH => config.has_disk || self.swapped > 0,
            _ => true,
        });
        routing::choose(question, &offered.collect::<Vec<_>>())
    }

    fn prefetch_budget(&self, free: TokenCount, config: &Config) -> TokenCount {
        let rate = self.prefill_tokens_per_s.unwrap_or(0.0).max(0.0);
        let in_time = (rate * config.prefetch_seconds).clamp(0.0, 1e9) as TokenCount;
        free.min(in_time.max(config.prefetch_min_tokens))
    }

    fn page_in(
        &mut self,
        query: String,
        budget: TokenCount,
        room: TokenCount,
        step: &mut Step<'_>,
    ) -> (EffectId, PageId) {
        let id = step.ids.effect();
        let at_most = step.config.prefetch_pages.max(1);
        let first = step.ids.reserve_pages(at_most);
        let request = PageRequest::Search { query, at_most };
        step.out.push(Effect::PageIn { id, pid: self.pid, request, first, budget, room });
        (id, first)
    }

    fn prefetched(&mut self, first: PageId, outcome: Outcome<Vec<SourcePage>>, step: &mut Step<'_>) {
        // A disk that failed must not keep the model from answering: it answers without.
        if let Outcome::Done(pages) = outcome {
            let place = Place { turn: self.turns, message: 0 };
            self.take_pages(pages, first, place, Role::User, step);
        }
        if self.is_cancelled() {
            self.admit_pending(step);
            self.end(TurnEnd::Cancelled, String::new(), step);
            return;
        }
        self.admit_pending(step);
        self.queue(step);
    }

    fn searched(&mut self, first: PageId, outcome: Outcome<Vec<SourcePage>>, step: &mut Step<'_>) {
        if self.is_cancelled() {
            self.end(TurnEnd::Cancelled, String::new(), step);
            return;
        }
        let place = self.next_message();
        let (taken, fault) = match outcome {
            Outcome::Done(pages) => (self.take_pages(pages, first, place, Role::Tool, step), None),
            Outcome::Failed(fault) => (0, Some(fault)),
            Outcome::Cancelled => (0, None),
        };
        if taken > 0 {
            self.queue(step);
            return;
        }
        let text = fault.map_or_else(|| prompt::NOTHING_FOUND.to_owned(), |fault| fault.message);
        self.encode(syscall::SEARCH, text, Then::Decode, step);
    }

    /// Admits found pages while they fit, skipping what is resident already and what has
    /// too little to do with the question. Returns how many are of use.
    fn take_pages(
        &mut self,
        pages: Vec<SourcePage>,
        first: PageId,
        place: Place,
        role: Role,
        step: &mut Step<'_>,
    ) -> u32 {
        let reserved = first..PageId(first.0.saturating_add(step.config.prefetch_pages.max(1).into()));
        let wanted = self.turn.as_ref().map(|turn| turn.wanted.clone()).unwrap_or_default();
        let searched = role == Role::Tool;
        let keep = self.pending_tokens();
        let mut room = self.room(role, step.config).saturating_sub(keep);
        let mut left = self.prefetch_budget(room, step.config);
        let mut memory = MemoryUse::default();
        for source in pages.into_iter().take(MAX_FOUND) {
            let known = match &source.provenance {
                Provenance::File(range) if range.is_on_disk() => self.resident(range),
                _ => self.resident_part(&source),
            };
            if let Some(known) = known {
                self.table.touch(known, self.turns);
                memory.hits += 1;
                continue;
            }
            let tokens = source.content.count();
            if tokens > if source.score == 0.0 { room } else { left } {
                continue;
            }
            let (content, comes_back) = (Content::of(&source), self.comes_back(&source));
            // What was named, and what was said in this process, is wanted whatever it says: who found
            // it knows how rare its words are.
            let named = source.score == 0.0 || comes_back;
            if !searched && !named && !speaks_of(&content, &wanted) {
                continue;
            }
            let taken = if comes_back && self.window.holds(source.id) {
                self.admit_part(source, content, place, role, step)
            } else if comes_back {
                self.readmit(source.id, content, role, place, step)
            } else if reserved.contains(&source.id) && self.table.get(source.id).is_none() {
                let (page, content) = source_page(source, content, place, role, step.event);
                self.admit(page, content, step)
            } else {
                false
            };
            if taken {
                (left, room) = (left.saturating_sub(tokens), room - tokens);
                memory.faults += 1;
            }
        }
        if let Some(turn) = &mut self.turn {
            turn.memory.hits += memory.hits;
            turn.memory.faults += memory.faults;
        }
        memory.hits + memory.faults
    }

    /// Whether it is a page of this process that was evicted.
    fn comes_back(&self, source: &SourcePage) -> bool {
        let pending = self.turn.as_ref().and_then(|turn| turn.pending);
        self.table.get(source.id).is_some_and(|page| {
            page.kind != PageKind::Boot && pending != Some(page.id) && page.provenance == source.provenance
        })
    }

    /// The page itself, if it is resident and shows all that was found of it.
    fn resident_part(&self, source: &SourcePage) -> Option<PageId> {
        let shown = self.table.content(source.id).filter(|_| self.window.holds(source.id))?;
        shown.text.contains(source.text.trim()).then_some(source.id)
    }

    /// Another part of a page of which one part is resident: a page of its own, so that what stands
    /// in the window stays there.
    fn admit_part(
        &mut self,
        source: SourcePage,
        content: Content,
        place: Place,
        role: Role,
        step: &mut Step<'_>,
    ) -> bool {
        let Some(whole) = self.table.get(source.id) else { return false };
        let (born, kind) = (whole.born, whole.kind);
        let SourcePage { provenance, label, .. } = source;
        let part = NewPage { id: step.ids.next_page(), kind, role, place, provenance, label };
        let (mut page, content) = part.page(content, born);
        // What it says is the other page's, which swap keeps.
        (page.swapped, page.recalled) = (true, true);
        let taken = self.admit(page, content, step);
        if taken {
            step.ids.page();
        }
        taken
    }

    /// A resident page that shows all of this part of a file.
    fn resident(&self, range: &FileRange) -> Option<PageId> {
        self.table.showing(range).map(|page| page.id).find(|id| self.window.holds(*id))
    }

    fn decoded(&mut self, outcome: Outcome<Decoded>, step: &mut Step<'_>) {
        let decoded = match outcome {
            Outcome::Done(decoded) => decoded,
            Outcome::Failed(fault) => return self.end(TurnEnd::Failed(fault), String::new(), step),
            Outcome::Cancelled => return self.end(TurnEnd::Cancelled, String::new(), step),
        };
        self.account(decoded.usage);
        self.sent.hear(&decoded.tokens);
        if self.is_cancelled() || decoded.stop == StopReason::Cancelled {
            let text = decoded.text.trim().to_owned();
            self.push_output(PageKind::Turn, &decoded, step);
            return self.end(TurnEnd::Cancelled, text, step);
        }
        let Some(turn) = &mut self.turn else { return };
        let cut = decoded.stop == StopReason::Limit;
        match syscall::parse(&decoded.text, &turn.choice, &self.tools, cut) {
            Ok(Syscall::Answer(text)) => self.answer(text, cut, &decoded, step),
            Ok(Syscall::Calls(mut calls)) => {
                turn.keep_new(&mut calls);
                if calls.is_empty() {
                    return self.answer_next(step);
                }
                self.push_output(PageKind::Call, &decoded, step);
                self.make_calls(calls, step);
            }
            Ok(Syscall::Remember { text }) => {
                let arguments = serde_json::json!({ "text": text });
                let call = Call { tool: syscall::REMEMBER.into(), arguments };
                if turn.made.contains(&call) {
                    return self.answer_next(step);
                }
                self.push_output(PageKind::Call, &decoded, step);
                self.check_remember(call, step);
            }
            Ok(Syscall::Forget { page }) => {
                let arguments = serde_json::json!({ "page": page.to_string() });
                let call = Call { tool: syscall::FORGET.into(), arguments };
                if turn.made.contains(&call) {
                    return self.answer_next(step);
                }
                self.push_output(PageKind::Call, &decoded, step);
                self.check_remember(call, step);
            }
            Ok(Syscall::Search { query }) => {
                let call =
                    Call { tool: syscall::SEARCH.into(), arguments: serde_json::json!({ "query": query }) };
                if turn.made.contains(&call) {
                    return self.answer_next(step);
                }
                turn.made.push(call);
                turn.choice = after_call(&turn.choice);
                self.push_output(PageKind::Call, &decoded, step);
                let room = self.room(Role::Tool, step.config);
                let budget = self.prefetch_budget(room, step.config);
                let (id, first) = self.page_in(query, budget, room, step);
                self.phase = Phase::Searching { id, first };
            }
            Ok(Syscall::FindTools { query }) => {
                let arguments = serde_json::json!({ "query": query });
                let call = Call { tool: syscall::FIND_TOOLS.into(), arguments };
                if turn.made.contains(&call) {
                    return self.answer_next(step);
                }
                turn.made.push(call);
                self.push_output(PageKind::Call, &decoded, step);
                self.find_tools(&query, step);
            }
            Ok(Syscall::Read { page, from }) => {
                let call = Call {
                    tool: syscall::READ.into(),
                    arguments: serde_json::json!({ "page": page.to_string(), "from": from }),
                };
                if turn.made.contains(&call) {
                    return self.answer_next(step);
                }
                turn.made.push(call);
                turn.choice = after_call(&turn.choice);
                self.push_output(PageKind::Call, &decoded, step);
                self.read(page, from, step);
            }
            // What it wrote is no call: it is not kept, and the model answers in words.
            Err(_) => self.answer_next(step),
        }
    }

    fn answer(&mut self, text: String, cut: bool, decoded: &Decoded, step: &mut Step<'_>) {
        self.push_output(PageKind::Turn, decoded, step);
        let schema = self.turn.as_ref().and_then(|turn| turn.options.schema.clone());
        if let Some(schema) = schema
            && let Err(error) = syscall::parse_value(&text, &schema)
        {
            let why = if cut { "it was cut at its token limit".to_owned() } else { error.to_string() };
            let message = format!("the answer does not fit its schema: {why}");
            return self.end(failed(FaultKind::Engine, message), text, step);
        }
        if text.is_empty() && !cut {
            return self.end(
                failed(FaultKind::Engine, "the model answered nothing; ask in other words"),
                text,
                step,
            );
        }
        let end = if cut { TurnEnd::Cut } else { TurnEnd::Answered };
        self.end(end, text, step);
    }

    /// The next decode must be an answer.
    fn answer_next(&mut self, step: &mut Step<'_>) {
        let Some(turn) = &mut self.turn else { return };
        if turn.choice == Choice::Answer || turn.decodes >= MAX_DECODES_PER_TURN {
            let message = "the model wrote nothing that can be used; ask in other words";
            return self.end(failed(FaultKind::Engine, message), String::new(), step);
        }
        turn.choice = Choice::Answer;
        self.queue(step);
    }

    pub(super) fn refuse(&mut self, call: &Call, reason: &str, step: &mut Step<'_>) {
        let fault = Fault::new(FaultKind::Denied, format!("{} did not run: {reason}", call.tool));
        self.note_refused(call);
        self.report(call, Err(fault.clone()), 0);
        self.encode(&call.tool, fault.message, Then::Decode, step);
    }

    /// A result becomes a page, cut when it is too large, and the model goes on.
    pub(super) fn result(
        &mut self,
        tool: &str,
        content: Encoded,
        all: Option<u64>,
        born: u64,
        step: &mut Step<'_>,
    ) {
        let born = Some(born);
        let text = ResultText { born, ..ResultText::whole(step.ids.page(), content.text.to_string(), tool) };
        match all {
            // What there is of it is only its beginning, which has to say so.
            Some(_) => {
                let shown = Some(content.text.chars().count());
                self.encode_again(ResultText { all, shown, ..text }, Then::Decode, step);
            }
            None => self.place_result(text, Then::Decode, content, step),
        }
    }

    fn encoded(&mut self, text: ResultText, then: Then, outcome: Outcome<Encoded>, step: &mut Step<'_>) {
        match outcome {
            Outcome::Done(content) => self.place_result(text, then, content, step),
            Outcome::Failed(fault) => self.end(TurnEnd::Failed(fault), String::new(), step),
            Outcome::Cancelled => self.end(TurnEnd::Cancelled, String::new(), step),
        }
    }

    fn place_result(&mut self, text: ResultText, then: Then, content: Encoded, step: &mut Step<'_>) {
        // Half of what is free, so that the answer to a long result still has its question; less
        // where other results come with it.
        let due = self.turn.as_ref().map_or(0, |turn| turn.due.len());
        let limit =
            self.room(Role::Tool, step.config) / TokenCount::try_from(due + 2).unwrap_or(TokenCount::MAX);
        if content.count() > limit && matches!(then, Then::Remember(_)) {
            return self.encode(syscall::REMEMBER, NO_ROOM.into(), Then::Decode, step);
        }
        if content.count() > limit {
            return self.cut_result(text, then, &content, limit, step);
        }
        let place = self.next_message();
        let born = text.born.unwrap_or(step.event);
        let id = text.page;
        let (kind, provenance, trust) = match &then {
            Then::Remember(_) => (PageKind::Pinned, Provenance::Model, Trust::Model),
            Then::Decode => (PageKind::Result, Provenance::Tool { tool: text.tool }, Trust::Tool),
        };
        let page = NewPage { id, kind, role: Role::Tool, place, provenance, label: Label::public(trust) };
        let (mut page, mut content) = page.page(Content::plain(content), born);
        // What is not shown of it can be found nevertheless.
        let swapped = text.shown.and_then(|_| swap(&mut page));
        if let Then::Remember(text) = &then {
            content.text = Arc::clone(text);
            if self.has_room_for(Slot::of(&page), "what is to be remembered", step.config).is_err() {
                return self.encode(syscall::REMEMBER, NO_ROOM.into(), Then::Decode, step);
            }
        }
        if !self.admit(page, content, step) {
            return self.end(failed(FaultKind::Limit, FULL), String::new(), step);
        }
        self.swap_out(swapped.into_iter().collect(), step);
        match then {
            Then::Remember(text) => {
                step.out.push(Effect::Remembered { pid: self.pid, page: id, text });
                self.queue(step);
            }
            Then::Decode => self.tell_next(step),
        }
    }

    fn cut_result(
        &mut self,
        text: ResultText,
        then: Then,
        content: &Encoded,
        limit: TokenCount,
        step: &mut Step<'_>,
    ) {
        if text.attempts >= MAX_CUTS || limit == 0 {
            return self.end(failed(FaultKind::Limit, FULL), String::new(), step);
        }
        let shown = text.shown.unwrap_or_else(|| text.text.chars().count());
        let share = f64::from(limit) / f64::from(content.count().max(1)) * 0.9;
        let keep = ((shown as f64 * share) as usize).saturating_sub(CUT_NOTE_CHARS);
        let text = ResultText { shown: Some(keep), attempts: text.attempts + 1, ..text };
        self.encode_again(text, then, step);
    }

    /// The model asked for a page by its address.
    fn read(&mut self, id: PageId, from: u64, step: &mut Step<'_>) {
        let Some(page) = self.table.get(id).filter(|page| !page.is_made_anew() || self.window.holds(id))
        else {
            return self.encode(syscall::READ, format!("There is no page {id}."), Then::Decode, step);
        };
        let is_whole = from == 0 || page.kind == PageKind::Boot || page.kind == PageKind::Pinned;
        if self.window.holds(id) && is_whole {
            let text = format!("{id} is shown above.");
            self.table.touch(id, self.turns);
            return self.encode(syscall::READ, text, Then::Decode, step);
        }
        let budget = self.room(Role::Tool, step.config) / 2;
        self.recall(id, from, budget, Why::Read, step);
    }

    /// Asks for a page that is in the table, from one of its characters on.
    pub(super) fn recall(
        &mut self,
        id: PageId,
        from: u64,
        budget: TokenCount,
        why: Why,
        step: &mut Step<'_>,
    ) {
        let Some(page) = self.table.get(id) else { return };
        let recall = Recall { page: id, event: page.born, provenance: page.provenance.clone(), from };
        let effect = step.ids.effect();
        step.out.push(Effect::PageIn {
            id: effect,
            pid: self.pid,
            request: PageRequest::Recall(recall),
            first: id,
            budget,
            room: budget,
        });
        self.phase = Phase::Recalling { id: effect, page: id, why };
    }

    /// A page came back.
    fn recalled(&mut self, id: PageId, why: Why, outcome: Outcome<Vec<SourcePage>>, step: &mut Step<'_>) {
        if why == Why::Pin {
            self.phase = Phase::Idle;
        }
        if self.is_cancelled() {
            return self.end(TurnEnd::Cancelled, String::new(), step);
        }
        let found = match outcome {
            Outcome::Done(pages) => pages
                .into_iter()
                .find(|page| page.id == id)
                .ok_or_else(|| format!("{id} could not be brought back: it is not in the journal")),
            Outcome::Failed(fault) => Err(fault.message),
            Outcome::Cancelled => Err(format!("{id} was not brought back")),
        };
        if why == Why::Pin {
            return self.pin_recalled(id, found.map(|source| Content::of(&source)), step);
        }
        match found {
            Err(text) => self.encode(syscall::READ, text, Then::Decode, step),
            Ok(source) => {
                let (place, content) = (self.next_message(), Content::of(&source));
                // What stands in the window stays there; this is another part of it.
                let taken = if self.window.holds(id) {
                    self.admit_part(source, content, place, Role::Tool, step)
                } else {
                    self.readmit(id, content, Role::Tool, place, step)
                };
                if !taken {
                    return self.end(failed(FaultKind::Limit, FULL), String::new(), step);
                }
                if let Some(turn) = &mut self.turn {
                    turn.memory.faults += 1;
                }
                self.queue(step);
            }
        }
    }

    pub(super) fn encode(&mut self, tool: &str, text: String, then: Then, step: &mut Step<'_>) {
        let page = step.ids.page();
        self.encode_again(ResultText::whole(page, text, tool), then, step);
    }

    fn encode_again(&mut self, text: ResultText, then: Then, step: &mut Step<'_>) {
        let id = step.ids.effect();
        step.out.push(Effect::Encode { id, pid: self.pid, text: text.worded() });
        self.phase = Phase::Encoding { id, text, then };
    }

    pub(super) fn queue(&mut self, step: &mut Step<'_>) {
        self.phase = Phase::Queued;
        step.scheduler.enqueue(self.pid);
    }

    /// The input becomes resident, behind what was found for it.
    fn admit_pending(&mut self, step: &mut Step<'_>) {
        let pending = self.turn.as_mut().and_then(|turn| turn.pending.take());
        let slot = pending.and_then(|id| self.table.get(id)).map(Slot::of);
        let Some(slot) = slot else { return };
        if self.make_room(&[slot], step)
            && let Some(page) = self.table.get(slot.page)
        {
            self.window.push(page);
        }
    }

    fn pending_tokens(&self) -> TokenCount {
        let pending = self.turn.as_ref().and_then(|turn| turn.pending);
        pending.and_then(|id| self.table.get(id)).map_or(0, |page| page.tokens)
    }

    fn push_output(&mut self, kind: PageKind, decoded: &Decoded, step: &mut Step<'_>) {
        if decoded.tokens.is_empty() {
            return;
        }
        let place = self.next_message();
        let content = Encoded { text: Arc::clone(&decoded.text), tokens: Arc::clone(&decoded.tokens) };
        if kind == PageKind::Call
            && let Some(turn) = &mut self.turn
        {
            turn.from_message = place.message;
        }
        let (id, provenance) = (step.ids.page(), Provenance::Model);
        let label = Label::public(Trust::Model);
        let page = NewPage { id, kind, role: Role::Assistant, place, provenance, label };
        let (page, content) = page.page(Content::plain(content), step.event);
        // It fits, or so much of it does not that older turns have to leave; an answer that
        // fills the window alone is evicted at once.
        let fits = self.make_room(&[Slot::of(&page)], step);
        if fits {
            self.window.push(&page);
        }
        self.table.insert(page, content);
        if !fits {
            self.evicted(&[id], step);
        }
    }

    /// Notes a call, so that it is not made twice.
    pub(super) fn note_made(&mut self, call: &Call) {
        if let Some(turn) = &mut self.turn {
            turn.made.push(call.clone());
            turn.choice = after_call(&turn.choice);
        }
    }

    /// Notes a call that may not be made: the model goes on in words.
    pub(super) fn note_refused(&mut self, call: &Call) {
        if let Some(turn) = &mut self.turn {
            turn.made.push(call.clone());
            turn.choice = Choice::Answer;
        }
    }

    pub(super) fn report(&mut self, call: &Call, result: Result<serde_json::Value, Fault>, micros: u64) {
        if let Some(turn) = &mut self.turn {
            let Call { tool, arguments } = call.clone();
            turn.calls.push(CallReport { tool, arguments, result, micros });
        }
    }

    fn account(&mut self, usage: Usage) {
        if usage.prefilled >= 32 && usage.first_token_ms > 0 {
            let rate = usage.prefilled as f32 * 1000.0 / usage.first_token_ms as f32;
            let before = self.prefill_tokens_per_s.unwrap_or(rate);
            self.prefill_tokens_per_s = Some(before * 0.5 + rate * 0.5);
        }
        if let Some(turn) = &mut self.turn {
            let sum = &mut turn.usage;
            if sum.total_ms == 0 {
                sum.first_token_ms = usage.first_token_ms;
            }
            sum.prefilled += usage.prefilled;
            sum.reused += usage.reused;
            sum.decoded += usage.decoded;
            sum.total_ms += usage.total_ms;
        }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.turn.as_ref().is_some_and(|turn| turn.cancelled)
    }

    fn next_message(&mut self) -> Place {
        let message = self.turn.as_mut().map_or(0, |turn| {
            turn.messages += 1;
            turn.messages - 1
        });
        Place { turn: self.turns, message }
    }
}

/// Why a call does not run that the user was asked about.
pub(super) const UNASKED: &str = "the user did not allow it";

/// A page that was found.
fn source_page(source: SourcePage, content: Content, place: Place, role: Role, born: u64) -> (Page, Content) {
    let SourcePage { id, provenance, label, .. } = source;
    NewPage { id, kind: PageKind::File, role, place, provenance, label }.page(content, born)
}

/// Whether a page holds enough of what is wanted. Its place and heading count too, as the
/// reader of the window sees them.
fn speaks_of(content: &Content, wanted: &Words) -> bool {
    let heading = content.shown.text.lines().next().map(words).unwrap_or_default();
    let missing = wanted.without(&content.words).without(&heading);
    wanted.covered_without(&missing) >= MIN_SCORE
}

/// Room for the note that says a result was cut, in characters.
const CUT_NOTE_CHARS: usize = 80;

impl ResultText {
    fn whole(page: PageId, text: String, tool: &str) -> Self {
        Self { page, text, born: None, all: None, shown: None, tool: tool.to_owned(), attempts: 0 }
    }

    /// What the model reads.
    fn worded(&self) -> String {
        let page = self.page;
        let Some(shown) = self.shown else { return self.text.clone() };
        let head: String = self.text.chars().take(shown).collect();
        let all = self.all.unwrap_or_else(|| self.text.chars().count() as u64);
        format!(
            "{head}\n[cut: {page} has {all} characters, these are the first {shown}; read {page} from {shown} for more]"
        )
    }
}

/// What the model reads when too much is remembered already.
const NO_ROOM: &str = "There is no room to remember more.";

const FULL: &str =
    "the window is full: nothing more can leave it; ask a shorter question or use a larger window";

fn after_call(choice: &Choice) -> Choice {
    match choice {
        Choice::Answer => Choice::Answer,
        Choice::May(names) | Choice::Must(names) => Choice::May(names.clone()),
    }
}

fn grammar_of(turn: &Turn, tools: &[ToolSpec], max_calls: u32) -> Option<crate::abi::Grammar> {
    let (names, or_text) = match &turn.choice {
        Choice::Answer => {
            let plain = || (!tools.is_empty()).then(grammar::text);
            return turn.options.schema.as_ref().map(grammar::value).or_else(plain);
        }
        Choice::May(names) => (names, true),
        Choice::Must(names) => (names, false),
    };
    let offered: Vec<&ToolSpec> = tools.iter().filter(|tool| names.contains(&tool.name)).collect();
    let left = max_calls.saturating_sub(u32::try_from(turn.made.len()).unwrap_or(u32::MAX));
    Some(grammar::calls(&offered, or_text, left))
}
