//! The little XML that GDAL's virtual datasets need.

/// An element under construction.
pub(crate) struct Element {
    name: &'static str,
    attributes: String,
}

impl Element {
    pub(crate) fn new(name: &'static str) -> Self {
        Element { name, attributes: String::new() }
    }

    pub(crate) fn attribute(mut self, name: &str, value: &str) -> Self {
        self.attributes += &format!(" {name}=\"{}\"", escaped(value));
        self
    }

    /// The element around plain text.
    pub(crate) fn text(self, content: &str) -> String {
        self.xml(&escaped(content))
    }

    /// The element around other elements.
    pub(crate) fn xml(self, content: &str) -> String {
        format!("<{0}{1}>{content}</{0}>", self.name, self.attributes)
    }
}

pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
