//! The syntax of nginx.conf: directives, blocks, quotes, comments and includes, each with its file and line.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    rc::Rc,
};

/// One file may have this much, and all of them so many directives.
const LARGEST: u64 = 4 << 20;
const MOST_DIRECTIVES: usize = 50_000;
const DEEPEST: usize = 32;

/// Where something is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: Rc<str>,
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// `name arg arg;` or `name arg { ... }`.
#[derive(Clone, Debug)]
pub struct Directive {
    pub name: String,
    pub args: Vec<String>,
    pub block: Option<Vec<Directive>>,
    pub place: Place,
}

/// What was read: the directives, and every file with its text, for `-T`.
#[derive(Debug, Default)]
pub struct Source {
    pub directives: Vec<Directive>,
    pub files: Vec<(PathBuf, String)>,
}

/// Reads files; `include` is relative to `prefix`.
pub struct Reader<'a> {
    pub prefix: &'a Path,
    files: Vec<(PathBuf, String)>,
    count: usize,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    pub fn new(prefix: &'a Path) -> Self {
        Self { prefix, files: Vec::new(), count: 0, problems: Vec::new() }
    }

    pub fn read(mut self, path: &Path) -> Result<Source, Vec<String>> {
        let directives = self.file(path, 0);
        self.done(directives)
    }

    /// Each of these as if it were included.
    pub fn read_all(mut self, paths: &[PathBuf]) -> Result<Source, Vec<String>> {
        let directives = paths.iter().flat_map(|path| self.file(path, 0)).collect();
        self.done(directives)
    }

    /// What is typed with `-g`, or comes from a test.
    pub fn text(mut self, name: &str, text: &str) -> Result<Source, Vec<String>> {
        let directives = self.parse(name.into(), text, 0);
        self.done(directives)
    }

    fn done(self, directives: Vec<Directive>) -> Result<Source, Vec<String>> {
        match self.problems.is_empty() {
            true => Ok(Source { directives, files: self.files }),
            false => Err(self.problems),
        }
    }

    fn file(&mut self, path: &Path, depth: usize) -> Vec<Directive> {
        match values::read_text(path, LARGEST) {
            Ok(text) => {
                let name: Rc<str> = path.display().to_string().into();
                let directives = self.parse(name, &text, depth);
                self.files.push((path.to_owned(), text));
                directives
            }
            Err(problem) => {
                self.problems.push(format!("[emerg] {problem}"));
                Vec::new()
            }
        }
    }

    fn parse(&mut self, file: Rc<str>, text: &str, depth: usize) -> Vec<Directive> {
        let mut lexer = Lexer { text: text.chars().peekable(), line: 1, file };
        match self.block(&mut lexer, false, depth) {
            Ok(directives) => directives,
            Err(problem) => {
                self.problems.push(format!("[emerg] {problem}"));
                Vec::new()
            }
        }
    }

    fn block(&mut self, lexer: &mut Lexer<'_>, inner: bool, depth: usize) -> Result<Vec<Directive>, String> {
        if depth > DEEPEST {
            return Err(format!("blocks and includes nested more than {DEEPEST} deep in {}", lexer.place()));
        }
        let (mut directives, mut words) = (Vec::new(), Vec::new());
        let mut place = lexer.place();
        loop {
            let token = lexer.next()?;
            if let (Token::Word(_), true) = (&token, words.is_empty()) {
                place = lexer.place();
            }
            match token {
                Token::Word(word) => words.push(word),
                Token::End if words.is_empty() => {
                    return Err(format!("unexpected \";\" in {}", lexer.place()));
                }
                Token::End => self.statement(&mut words, &place, &mut directives, depth)?,
                Token::Open if words.is_empty() => return Err(format!("unexpected \"{{\" in {}", lexer.place())),
                Token::Open => {
                    // Lua and the like are another language: nothing after it could be read.
                    if words[0].ends_with("_by_lua_block") {
                        return Err(format!("unknown directive \"{}\" in {place}", words[0]));
                    }
                    let block = self.block(lexer, true, depth + 1)?;
                    let name = words.remove(0);
                    self.push(
                        Directive { name, args: std::mem::take(&mut words), block: Some(block), place: place.clone() },
                        &mut directives,
                    )?;
                }
                Token::Close if !inner || !words.is_empty() => {
                    return Err(match words.first() {
                        Some(name) if inner => format!("directive \"{name}\" is not terminated by \";\" in {place}"),
                        _ => format!("unexpected \"}}\" in {}", lexer.place()),
                    });
                }
                Token::Close => return Ok(directives),
                Token::Nothing if inner || !words.is_empty() => {
                    let wanted = if words.is_empty() { "\"}\"" } else { "\";\" or \"}\"" };
                    return Err(format!("unexpected end of file, expecting {wanted} in {}", lexer.place()));
                }
                Token::Nothing => return Ok(directives),
            }
        }
    }

    fn statement(
        &mut self,
        words: &mut Vec<String>,
        place: &Place,
        directives: &mut Vec<Directive>,
        depth: usize,
    ) -> Result<(), String> {
        let name = words.remove(0);
        let args = std::mem::take(words);
        if name != "include" {
            return self.push(Directive { name, args, block: None, place: place.clone() }, directives);
        }
        let [pattern] = args.as_slice() else {
            return Err(format!("invalid number of arguments in \"include\" directive in {place}"));
        };
        for path in self.included(pattern, place)? {
            if depth + 1 > DEEPEST {
                return Err(format!("blocks and includes nested more than {DEEPEST} deep in {place}"));
            }
            directives.extend(self.file(&path, depth + 1));
        }
        Ok(())
    }

    fn push(&mut self, directive: Directive, directives: &mut Vec<Directive>) -> Result<(), String> {
        self.count += 1;
        if self.count > MOST_DIRECTIVES {
            return Err(format!("more than {MOST_DIRECTIVES} directives in {}", directive.place));
        }
        directives.push(directive);
        Ok(())
    }

    /// The files that are meant, in order. A pattern may mean none; a plain name must be there.
    fn included(&mut self, pattern: &str, place: &Place) -> Result<Vec<PathBuf>, String> {
        let path = self.prefix.join(pattern);
        if !pattern.contains(['*', '?', '[']) {
            // Types of static files, of which there are none; the table is not in our image.
            let is_types = path.file_name().is_some_and(|name| name == "mime.types");
            return match path.exists() || !is_types {
                true if path.exists() => Ok(vec![path]),
                true => Err(format!("open() \"{}\" failed (2: No such file or directory) in {place}", path.display())),
                false => Ok(Vec::new()),
            };
        }
        Ok(expanded(&path))
    }
}

/// A glob in the last part of a path, as `conf.d/*.conf`, or in any part. Sorted, as everybody expects.
pub fn expanded(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let text = part.as_os_str().to_string_lossy();
        if !text.contains(['*', '?', '[']) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let inside = |dir: &PathBuf| {
            let entries = fs::read_dir(if dir.as_os_str().is_empty() { Path::new(".") } else { dir });
            let names = entries.into_iter().flatten().flatten().map(|entry| entry.file_name());
            let hidden = text.starts_with('.');
            let fits = |name: &std::ffi::OsString| {
                let name = name.to_string_lossy();
                (hidden || !name.starts_with('.')) && fast_glob::glob_match(text.as_bytes(), name.as_bytes())
            };
            names.filter(fits).map(|name| dir.join(name)).collect::<Vec<_>>()
        };
        found = found.iter().flat_map(inside).collect();
    }
    found.retain(|path| path.exists());
    found.sort();
    found
}

enum Token {
    Word(String),
    End,
    Open,
    Close,
    Nothing,
}

struct Lexer<'a> {
    text: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
    file: Rc<str>,
}

impl Lexer<'_> {
    fn place(&self) -> Place {
        Place { file: Rc::clone(&self.file), line: self.line }
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.text.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn next(&mut self) -> Result<Token, String> {
        loop {
            match self.text.peek().copied() {
                None => return Ok(Token::Nothing),
                Some('#') => {
                    while self.text.peek().is_some_and(|c| *c != '\n') {
                        self.bump();
                    }
                }
                Some(c) if c.is_ascii_whitespace() || c == '\u{feff}' => drop(self.bump()),
                Some(_) => break,
            }
        }
        match self.text.peek().copied() {
            Some(';') => {
                self.bump();
                Ok(Token::End)
            }
            Some('{') => {
                self.bump();
                Ok(Token::Open)
            }
            Some('}') => {
                self.bump();
                Ok(Token::Close)
            }
            Some(quote @ ('"' | '\'')) => {
                self.bump();
                self.quoted(quote)
            }
            _ => Ok(Token::Word(self.bare())),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Token, String> {
        let (mut word, place) = (String::new(), self.place());
        loop {
            match self.bump() {
                None => {
                    return Err(format!(
                        "unexpected end of file, expecting \";\" or \"}}\" in {place}: a {quote} is never closed"
                    ));
                }
                Some(c) if c == quote => break,
                Some('\\') => self.escape(&mut word),
                Some(c) => word.push(c),
            }
        }
        match self.text.peek().copied() {
            Some(c) if !c.is_ascii_whitespace() && !matches!(c, ';' | '{' | ')') => {
                Err(format!("unexpected \"{c}\" in {}", self.place()))
            }
            _ => Ok(Token::Word(word)),
        }
    }

    /// A backslash stands for what comes after it if that is a quote, a backslash or a line end; a regular expression
    /// keeps its own.
    fn escape(&mut self, word: &mut String) {
        match self.text.peek().copied() {
            Some(c @ ('"' | '\'' | '\\')) => {
                word.push(c);
                self.bump();
            }
            Some('t') => {
                word.push('\t');
                self.bump();
            }
            Some('r') => {
                word.push('\r');
                self.bump();
            }
            Some('n') => {
                word.push('\n');
                self.bump();
            }
            _ => word.push('\\'),
        }
    }

    fn bare(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.text.peek().copied() {
            match c {
                c if c.is_ascii_whitespace() => break,
                ';' => break,
                '{' if !word.ends_with('$') => break,
                '\\' => {
                    self.bump();
                    self.escape(&mut word);
                    // A brace or a blank after it belongs to the word too.
                    if word.ends_with('\\')
                        && let Some(next) = self.text.peek().copied().filter(|c| *c != '\n')
                    {
                        word.push(next);
                        self.bump();
                    }
                }
                '{' => {
                    // `${name}`: up to the closing brace.
                    while let Some(c) = self.bump() {
                        word.push(c);
                        if c == '}' {
                            break;
                        }
                    }
                }
                c => {
                    word.push(c);
                    self.bump();
                }
            }
        }
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(directives: &[Directive]) -> String {
        let one = |directive: &Directive| {
            let words = std::iter::once(&directive.name).chain(&directive.args).cloned().collect::<Vec<_>>().join("|");
            match &directive.block {
                Some(block) => format!("{words}{{{}}}", shape(block)),
                None => format!("{words};"),
            }
        };
        directives.iter().map(one).collect()
    }

    fn read(text: &str) -> Result<String, Vec<String>> {
        Reader::new(Path::new("/nowhere")).text("t", text).map(|source| shape(&source.directives))
    }

    #[test]
    fn reads_words_quotes_variables_and_comments() {
        for (text, wanted) in [
            ("a b  c;", "a|b|c;"),
            ("a { b 1; # c\n } d;", "a{b|1;}d;"),
            ("a \"x y;{}\" 'it''s';", ""),
            ("a 'b \"c\"' \"d 'e'\";", "a|b \"c\"|d 'e';"),
            ("a $b ${c}d$e;", "a|$b|${c}d$e;"),
            ("location ~ \\.php$ { x; }", "location|~|\\.php${x;}"),
            ("location ~ ^/a{2}$ { x; }", ""),
            ("location ~ \"^/a{2}$\" { x; }", "location|~|^/a{2}${x;}"),
            ("a \"\\\"q\\\" \\\\ \\d\";", "a|\"q\" \\ \\d;"),
            ("a\\ b c;", "a\\ b|c;"),
            ("a b#c;", "a|b#c;"),
        ] {
            match wanted {
                "" => assert!(read(text).is_err(), "{text}"),
                _ => assert_eq!(read(text).as_deref(), Ok(wanted), "{text}"),
            }
        }
    }

    #[test]
    fn says_what_is_wrong_as_nginx_does() {
        for (text, problem) in [
            ("a", "[emerg] unexpected end of file, expecting \";\" or \"}\" in t:1"),
            ("a {\n b;", "[emerg] unexpected end of file, expecting \"}\" in t:2"),
            ("a;\n}", "[emerg] unexpected \"}\" in t:2"),
            ("a {\n\n b\n}", "[emerg] directive \"b\" is not terminated by \";\" in t:3"),
            (";", "[emerg] unexpected \";\" in t:1"),
            ("{", "[emerg] unexpected \"{\" in t:1"),
            (
                "include /nowhere/at/all;",
                "[emerg] open() \"/nowhere/at/all\" failed (2: No such file or directory) in t:1",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), [problem], "{text}");
        }
        assert_eq!(read("include /nowhere/*.conf; include mime.types;").as_deref(), Ok(""));
    }
}
