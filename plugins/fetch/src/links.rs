//! Where links lead, as absolute addresses.
//!
//! Source: RFC 3986, 5.2, for http and https. Whoever reads a page should be able to follow its
//! links, and can do nothing with those of other kinds, such as scripts.

/// The longest address, in bytes.
const MAX_BYTES: usize = 2_000;

/// An http or https address, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    scheme: String,
    host: String,
    path: String,
    query: String,
}

impl Base {
    /// Takes an address apart. None when it is none of the web.
    pub fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https") {
            return None;
        }
        let rest = before(rest, '#');
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, rest) = rest.split_at(end);
        let path = before(rest, '?');
        let query = rest[path.len()..].to_owned();
        (!host.is_empty()).then(|| Self { scheme, host: host.to_owned(), path: path.to_owned(), query })
    }

    /// The host, with its port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Where a link of a page at this address leads. None for places of the same page, for what is
    /// not of the web, and for what is far too long.
    pub fn resolve(&self, link: &str) -> Option<String> {
        let link: String = link.trim().chars().filter(|c| !c.is_control()).collect();
        if link.is_empty() || link.starts_with('#') || link.len() > MAX_BYTES {
            return None;
        }
        let url = match scheme(&link) {
            Some("mailto" | "tel") => link,
            Some("http" | "https") => Self::parse(&link).map(|_| link)?,
            Some(_) => return None,
            None => self.relative(&link),
        };
        Some(encoded(&url)).filter(|url| url.len() <= 3 * MAX_BYTES)
    }

    fn relative(&self, link: &str) -> String {
        if let Some(rest) = link.strip_prefix("//") {
            return format!("{}://{rest}", self.scheme);
        }
        let end = link.find(['?', '#']).unwrap_or(link.len());
        let (path, rest) = link.split_at(end);
        let (path, query) = match path {
            "" if rest.starts_with('?') => (self.path.clone(), ""),
            "" => (self.path.clone(), self.query.as_str()),
            _ if path.starts_with('/') => (without_dots(path), ""),
            _ => {
                let folder = self.path.rfind('/').map_or("/", |end| &self.path[..=end]);
                (without_dots(&format!("{folder}{path}")), "")
            }
        };
        format!("{}://{}{path}{query}{rest}", self.scheme, self.host)
    }
}

/// The scheme of a link that has one, in lower case where it is known.
fn scheme(link: &str) -> Option<&str> {
    let end = link.find([':', '/', '?', '#']).filter(|end| link[*end..].starts_with(':'))?;
    let name = &link[..end];
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let known = ["http", "https", "mailto", "tel"].into_iter().find(|known| name.eq_ignore_ascii_case(known));
    is_name.then_some(known.unwrap_or(name))
}

fn without_dots(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    let is_folder = path.ends_with("/.") || path.ends_with("/..");
    format!("/{}{}", parts.join("/"), if is_folder && !parts.is_empty() { "/" } else { "" })
}

/// Without what would end the link in Markdown.
fn encoded(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for c in url.chars() {
        match c {
            ' ' => out.push_str("%20"),
            '(' => out.push_str("%28"),
            ')' => out.push_str("%29"),
            '<' => out.push_str("%3C"),
            '>' => out.push_str("%3E"),
            _ => out.push(c),
        }
    }
    out
}

fn before(text: &str, end: char) -> &str {
    text.split(end).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn links_are_resolved_as_the_rfc_says() {
        let base = Base::parse("http://a/b/c/d;p?q#f").unwrap();
        // Source: RFC 3986, 5.4.
        for (link, expected) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("g#s", "http://a/b/c/g#s"),
            (";x", "http://a/b/c/;x"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("https://x/y z", "https://x/y%20z"),
            ("HTTPS://x", "HTTPS://x"),
            ("mailto:a@b.c", "mailto:a@b.c"),
            ("a(b)", "http://a/b/c/a%28b%29"),
            ("a\nb", "http://a/b/c/ab"),
        ] {
            assert_eq!(base.resolve(link).as_deref(), Some(expected), "{link}");
        }
        for link in ["", " ", "#s", "javascript:alert(1)", "java\nscript:x", "data:text/html,x", "http:x"] {
            assert_eq!(base.resolve(link), None, "{link}");
        }
        assert_eq!(Base::parse("http://a").unwrap().resolve("g").as_deref(), Some("http://a/g"));
        for url in ["ftp://a", "a", "http://", "http:///x"] {
            assert_eq!(Base::parse(url), None, "{url}");
        }
    }

    proptest! {
        #[test]
        fn no_link_panics(url in any::<String>(), link in any::<String>()) {
            if let Some(base) = Base::parse(&url).or_else(|| Base::parse(&format!("http://{url}"))) {
                base.resolve(&link);
            }
            let base = Base::parse("https://example.org/a/b?c").expect("an address");
            let resolved = base.resolve(&link).unwrap_or_default();
            prop_assert!(!resolved.contains(['(', ')', '<', '>', '\n', ' ']));
        }
    }
}
