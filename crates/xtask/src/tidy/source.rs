//! Reads Rust just well enough to tell code from comments and from strings.

use std::{iter::Peekable, str::Chars};

/// The same lines as the source, with parts of them blank.
#[derive(Debug, Default)]
pub struct Code {
    /// Without comments.
    pub spoken: String,
    /// Without comments and without the contents of strings.
    pub bare: String,
}

impl Code {
    pub fn of(source: &str) -> Self {
        let mut reader = Reader { chars: source.chars().peekable(), code: Self::default() };
        while let Some(next) = reader.chars.next() {
            reader.one(next);
        }
        reader.code
    }

    /// Lines, counted from 1, on which a word stands by itself: `unsafe`, not `unsafe_code`.
    pub fn lines_with_word(&self, word: &str) -> Vec<usize> {
        let has = |line: &str| line.split(|c: char| !is_name(c)).any(|found| found == word);
        (1..).zip(self.bare.lines()).filter(|(_, line)| has(line)).map(|(number, _)| number).collect()
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    code: Code,
}

impl Reader<'_> {
    fn one(&mut self, next: char) {
        match next {
            '/' if self.chars.peek() == Some(&'/') => self.line_comment(),
            '/' if self.chars.peek() == Some(&'*') => self.block_comment(),
            '"' => self.string(0, true),
            'r' if !self.inside_name() && matches!(self.chars.peek(), Some('"' | '#')) => self.raw_string(),
            '\'' => self.quote(),
            other => self.keep(other),
        }
    }

    fn keep(&mut self, c: char) {
        self.code.spoken.push(c);
        self.code.bare.push(c);
    }

    /// Something that is no code; its line breaks stay, so that line numbers hold.
    fn hide(&mut self, c: char) {
        if c == '\n' {
            self.keep(c);
        }
    }

    fn inside_string(&mut self, c: char) {
        self.code.spoken.push(c);
        if c == '\n' {
            self.code.bare.push(c);
        }
    }

    /// Whether the `r` just read ends a name, as in `for"`; the `b` of `br"` does not count.
    fn inside_name(&self) -> bool {
        let mut before = self.code.bare.chars().rev();
        match before.next() {
            Some('b' | 'c') => before.next().is_some_and(is_name),
            Some(c) => is_name(c),
            None => false,
        }
    }

    fn line_comment(&mut self) {
        while self.chars.next_if(|c| *c != '\n').is_some() {}
    }

    fn block_comment(&mut self) {
        let mut depth = 1;
        let mut last = self.chars.next();
        // `/*/` does not end what it begins.
        last = if last == Some('*') { Some(' ') } else { last };
        while depth > 0 {
            let Some(c) = self.chars.next() else { return };
            match (last, c) {
                (Some('*'), '/') => depth -= 1,
                (Some('/'), '*') => depth += 1,
                _ => {
                    self.hide(c);
                    last = Some(c);
                    continue;
                }
            }
            last = Some(' ');
        }
    }

    fn raw_string(&mut self) {
        self.keep('r');
        let mut hashes = 0;
        while self.chars.next_if_eq(&'#').is_some() {
            self.keep('#');
            hashes += 1;
        }
        // `r#type` is a name.
        if self.chars.next_if_eq(&'"').is_some() {
            self.string(hashes, false);
        }
    }

    fn string(&mut self, hashes: usize, escapes: bool) {
        self.keep('"');
        while let Some(c) = self.chars.next() {
            if c == '"' {
                let mut seen = 0;
                while seen < hashes && self.chars.next_if_eq(&'#').is_some() {
                    seen += 1;
                }
                if seen == hashes {
                    self.keep('"');
                    return (0..seen).for_each(|_| self.keep('#'));
                }
                self.inside_string('"');
                (0..seen).for_each(|_| self.inside_string('#'));
                continue;
            }
            self.inside_string(c);
            if escapes && c == '\\' {
                let escaped = self.chars.next();
                escaped.into_iter().for_each(|c| self.inside_string(c));
            }
        }
    }

    /// A character, `'"'`, or a lifetime, `'a`.
    fn quote(&mut self) {
        let mut ahead = self.chars.clone();
        let escaped = ahead.next() == Some('\\');
        if !escaped && ahead.next() != Some('\'') {
            return self.keep('\'');
        }
        self.keep('\'');
        while let Some(c) = self.chars.next() {
            self.code.spoken.push(c);
            match c {
                '\\' => self.code.spoken.extend(self.chars.next()),
                '\'' => return self.code.bare.push('\''),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_told_from_code() {
        for (source, spoken, bare) in [
            ("a // b\nc", "a \nc", "a \nc"),
            ("a /* b\n/* c */ */ d", "a \n d", "a \n d"),
            ("/*/ a */ b", " b", " b"),
            (r#"f("a // \" b") // c"#, r#"f("a // \" b") "#, r#"f("") "#),
            (r##"r#"a"b"# c"##, r##"r#"a"b"# c"##, r##"r#""# c"##),
            (r##"br"a\" c"##, r##"br"a\" c"##, r##"br"" c"##),
            ("r#type = 1", "r#type = 1", "r#type = 1"),
            (r#"'"' + '\'' + '\\' // c"#, r#"'"' + '\'' + '\\' "#, "'' + '' + '' "),
            ("fn f<'a>(x: &'a str) // c", "fn f<'a>(x: &'a str) ", "fn f<'a>(x: &'a str) "),
        ] {
            let code = Code::of(source);
            assert_eq!(code.spoken, spoken, "{source}");
            assert_eq!(code.bare, bare, "{source}");
        }
    }

    #[test]
    fn a_word_is_found_where_it_is_code() {
        let code = Code::of("// unsafe\n\"unsafe\"; unsafe_code\n'a'; unsafe { }\n");
        assert_eq!(code.lines_with_word("unsafe"), [3]);
    }
}
