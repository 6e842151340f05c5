//! Pages that stand alone: no scripts, nothing loaded from elsewhere, every text escaped.
//!
//! Invariant: what comes from outside reaches a page only through [`Escaped`]. Reference: OWASP's rules for HTML
//! bodies and quoted attributes.

use std::fmt::{self, Display, Write};

/// A text as HTML shows it, in bodies and in quoted attributes.
pub(crate) struct Escaped<T>(pub(crate) T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Escaper<'a, 'b>(&'a mut fmt::Formatter<'b>);
        impl Write for Escaper<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                text.chars().try_for_each(|letter| match letter {
                    '&' => self.0.write_str("&amp;"),
                    '<' => self.0.write_str("&lt;"),
                    '>' => self.0.write_str("&gt;"),
                    '"' => self.0.write_str("&quot;"),
                    '\'' => self.0.write_str("&#39;"),
                    // Shows where text was turned round to look like something else.
                    '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => self.0.write_char('\u{fffd}'),
                    letter => self.0.write_char(letter),
                })
            }
        }
        write!(Escaper(f), "{}", self.0)
    }
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;\
color:#1b1b1f;background:#fff}h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;\
border-bottom:1px solid #ddd;overflow-wrap:anywhere}th{width:14rem;font-weight:600}thead th{width:auto}\
blockquote{margin:1rem 0;padding:.5rem 1rem;border-left:4px solid #888;background:#f6f6f8}\
footer{margin-top:2rem;color:#555;font-size:.85rem}@media print{body{margin:0}}";

/// A page that is being written.
#[derive(Debug)]
pub struct Page {
    out: String,
}

impl Page {
    /// Begins a page in that language.
    #[must_use]
    pub fn new(language: &str, title: &str) -> Self {
        let (language, title) = (Escaped(language), Escaped(title));
        let out = format!(
            "<!doctype html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        );
        Self { out }
    }

    /// A heading below the title.
    pub fn heading(&mut self, text: impl Display) {
        self.line(format_args!("<h2>{}</h2>", Escaped(text)));
    }

    /// A paragraph.
    pub fn paragraph(&mut self, text: impl Display) {
        self.line(format_args!("<p>{}</p>", Escaped(text)));
    }

    /// Somebody else's words, in their language.
    pub fn quote(&mut self, language: &str, text: &str) {
        let paragraphs: String = text
            .split('\n')
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| format!("<p>{}</p>", Escaped(line)))
            .collect();
        self.line(format_args!("<blockquote lang=\"{}\">{paragraphs}</blockquote>", Escaped(language)));
    }

    /// A table of names and values; a row without value is left out.
    pub fn facts<'a>(&mut self, rows: impl IntoIterator<Item = (&'a str, String)>) {
        self.line(format_args!("<table>"));
        for (name, value) in rows.into_iter().filter(|(_, value)| !value.is_empty()) {
            self.line(format_args!(
                "<tr><th scope=\"row\">{}</th><td>{}</td></tr>",
                Escaped(name),
                Linked(&value)
            ));
        }
        self.line(format_args!("</table>"));
    }

    /// A table with a head.
    pub fn table(&mut self, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
        let cells = |tag: &str, cells: &[String]| -> String {
            cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", Escaped(cell))).collect()
        };
        let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
        self.line(format_args!("<table>\n<thead><tr>{}</tr></thead>", cells("th", &head)));
        for row in rows {
            self.line(format_args!("<tr>{}</tr>", cells("td", &row)));
        }
        self.line(format_args!("</table>"));
    }

    /// The page.
    #[must_use]
    pub fn finish(mut self, footer: impl Display) -> String {
        self.line(format_args!("<footer>{}</footer>\n</body>\n</html>", Escaped(footer)));
        self.out
    }

    fn line(&mut self, text: fmt::Arguments<'_>) {
        self.out += &text.to_string();
        self.out.push('\n');
    }
}

/// A text, as a link if it is nothing but an address that a browser may follow.
struct Linked<'a>(&'a str);

impl Display for Linked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_address = ["https://", "http://", "mailto:"].iter().any(|scheme| self.0.starts_with(scheme));
        if is_address && !self.0.contains(char::is_whitespace) {
            write!(f, "<a href=\"{0}\" rel=\"noreferrer\">{0}</a>", Escaped(self.0))
        } else {
            Escaped(self.0).fmt(f)
        }
    }
}

/// A text in the cell of a Markdown table: what would end the cell, begin markup or be HTML is escaped.
pub(crate) fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\r' => out.push(' '),
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' => out.extend(['\\', letter]),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_leaves_its_place(text in "[ -~\\n\u{202e}]{0,60}") {
            let mut page = Page::new(&text, &text);
            page.heading(&text);
            page.paragraph(&text);
            page.quote(&text, &text);
            page.facts([("name", text.clone()), (text.as_str(), "x".to_owned())]);
            page.table(&[text.as_str()], [vec![text.clone()]]);
            let html = page.finish(&text);
            let empty = {
                let mut page = Page::new("", "");
                page.heading("");
                page.paragraph("");
                page.quote("", "x");
                page.facts([("name", "x".to_owned()), ("", "x".to_owned())]);
                page.table(&[""], [vec![String::new()]]);
                page.finish("")
            };
            let tags = |html: &str| html.matches('<').count();
            let lines = text.split('\n').filter(|line| !line.trim().is_empty()).count();
            // Paragraphs of the quotation vary with the text, and a row without a value is left out; nothing else.
            let expected = tags(&empty) + 2 * lines - 2 - if text.is_empty() { 6 } else { 0 };
            let links = html.matches("<a href=").count();
            prop_assert_eq!(tags(&html), expected + 2 * links);
            let is_turned = html.contains('\u{202e}');
            prop_assert!(!is_turned);
        }
    }

    #[test]
    fn scripts_and_quotes_become_text() {
        let text = "<script>alert(\"x\")</script> & 'y'";
        assert_eq!(
            Escaped(text).to_string(),
            "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &#39;y&#39;"
        );
    }

    #[test]
    fn only_addresses_that_a_browser_may_follow_are_links() {
        assert!(
            Linked("https://example.com/a?b=1&c=2")
                .to_string()
                .starts_with("<a href=\"https://example.com/a?b=1&amp;c=2\"")
        );
        assert_eq!(Linked("javascript:alert(1)").to_string(), "javascript:alert(1)");
        assert_eq!(Linked("https://example.com x").to_string(), "https://example.com x");
    }

    #[test]
    fn a_cell_stays_one_cell() {
        assert_eq!(cell("a|b\n`c` <b> *d*"), "a\\|b \\`c\\` &lt;b> \\*d\\*");
    }
}
