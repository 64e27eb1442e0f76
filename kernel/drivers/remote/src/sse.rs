//! Server-sent events from bytes as they come. Written here because the parsers there are bound
//! neither a line nor an event.
//! Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>.

/// The longest line, and the most data of one event, in bytes.
pub(crate) const MAX_EVENT_BYTES: usize = 1024 * 1024;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What a server sent at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Whether it is named an error.
    pub(crate) error: bool,
    /// Its data; lines are joined by line feeds.
    pub(crate) data: String,
}

/// A line or event beyond [`MAX_EVENT_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it sent more than {MAX_EVENT_BYTES} bytes as one event")]
pub(crate) struct TooLong;

/// Cuts bytes into events.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    error: bool,
    after_return: bool,
    begun: bool,
}

impl Parser {
    /// Takes more bytes and gives the events that are complete now.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut events = Vec::new();
        while let Some((first, more)) = bytes.split_first() {
            // A line feed after a carriage return belongs to it, in whatever chunk it comes.
            if std::mem::take(&mut self.after_return) && *first == b'\n' {
                bytes = more;
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if self.line.len() + part.len() > MAX_EVENT_BYTES {
                return Err(TooLong);
            }
            self.line.extend_from_slice(part);
            let Some(end) = end else { break };
            self.after_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            events.extend(self.take_line(&line)?);
        }
        Ok(events)
    }

    /// The event that the end of the stream left without its empty line. By the letter it is to
    /// be dropped, but some servers end like that.
    pub(crate) fn finish(mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.take_line(&line).ok()?;
        }
        self.event()
    }

    fn take_line(&mut self, line: &[u8]) -> Result<Option<Event>, TooLong> {
        let line = if std::mem::replace(&mut self.begun, true) {
            line
        } else {
            line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
        };
        if line.is_empty() {
            return Ok(self.event());
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = colon.map_or((line, &b""[..]), |at| (&line[..at], &line[at + 1..]));
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => self.add(value)?,
            b"event" => self.error = value == b"error",
            // Not in the standard; llama.cpp has sent errors so.
            b"error" => {
                self.error = true;
                self.add(value)?;
            }
            // Comments keep the connection alive; names and retry times mean nothing here.
            _ => {}
        }
        Ok(None)
    }

    fn add(&mut self, value: &[u8]) -> Result<(), TooLong> {
        if self.data.len() + value.len() + 1 > MAX_EVENT_BYTES {
            return Err(TooLong);
        }
        if self.has_data {
            self.data.push(b'\n');
        }
        self.has_data = true;
        self.data.extend_from_slice(value);
        Ok(())
    }

    fn event(&mut self) -> Option<Event> {
        let error = std::mem::take(&mut self.error);
        let data = std::mem::take(&mut self.data);
        std::mem::take(&mut self.has_data)
            .then(|| Event { error, data: String::from_utf8_lossy(&data).into_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, MAX_EVENT_BYTES, Parser, TooLong};
    use proptest::prelude::*;

    fn all(bytes: &[u8], step: usize) -> Result<Vec<Event>, TooLong> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for chunk in bytes.chunks(step.max(1)) {
            events.extend(parser.push(chunk)?);
        }
        events.extend(parser.finish());
        Ok(events)
    }

    fn data(text: &str) -> Event {
        Event { error: false, data: text.into() }
    }

    #[test]
    fn events_come_out_however_they_are_cut() {
        let stream = "\u{feff}: hello\r\ndata: {\"a\":\"ü🦀\"}\r\n\r\ndata:two\ndata: lines\n\nid: 7\nretry: 5\n\n\
                      event: error\rdata: bad\r\rerror: {\"x\":1}\n\nevent: message\ndata\n\ndata: [DONE]\n";
        let expected = [
            data("{\"a\":\"ü🦀\"}"),
            data("two\nlines"),
            Event { error: true, data: "bad".into() },
            Event { error: true, data: "{\"x\":1}".into() },
            data(""),
            data("[DONE]"),
        ];
        for step in 1..=stream.len() {
            assert_eq!(all(stream.as_bytes(), step).unwrap(), expected, "by {step}");
        }
    }

    #[test]
    fn lines_and_events_have_a_limit() {
        let mut parser = Parser::default();
        let long = vec![b'x'; MAX_EVENT_BYTES / 2 + 1];
        assert_eq!(parser.push(&long), Ok(Vec::new()));
        assert_eq!(parser.push(&long), Err(TooLong));
        // Many short lines of one event count together; comments do not.
        let lines = b"data: 0123456789abcdef\n".repeat(MAX_EVENT_BYTES / 16);
        assert_eq!(all(&lines, 1000), Err(TooLong));
        assert_eq!(all(&b": 0123456789abcdef\n".repeat(MAX_EVENT_BYTES / 16), 1000), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_chunks_give_the_same(
            bytes in prop::collection::vec(
                prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b'd'), any::<u8>()], 0..300),
            step in 1_usize..40,
        ) {
            prop_assert_eq!(all(&bytes, step), all(&bytes, bytes.len()));
        }

        #[test]
        fn what_is_framed_comes_back(texts in prop::collection::vec("[^\r\n]{0,40}", 0..8), step in 1_usize..64, crlf: bool) {
            let end = if crlf { "\r\n" } else { "\n" };
            let stream: String = texts.iter().map(|text| format!("data: {text}{end}{end}")).collect();
            let got: Vec<String> = all(stream.as_bytes(), step).unwrap().into_iter().map(|event| event.data).collect();
            prop_assert_eq!(got, texts);
        }
    }
}
