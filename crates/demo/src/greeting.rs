//! The app's config file: two settings, and a reason for everything that is wrong with them.

use std::path::Path;

/// Nobody greets in more than this.
const LARGEST: u64 = 64 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    pub version: u64,
    pub text: String,
}

impl Default for Greeting {
    /// What an app without a config file says.
    fn default() -> Self {
        Self { version: 0, text: "Hello".into() }
    }
}

impl Greeting {
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = values::read_text(path, LARGEST)?;
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Self::parse(&text).map_err(|problems| format!("{name}: {}", problems.join("; ")))
    }

    /// Lines of `name = value`; `#` begins a comment. All problems at once.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let (mut version, mut greeting, mut problems) = (None, None, Vec::new());
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            match line.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
                Some(("version", value)) => match value.parse() {
                    Ok(value) => version = Some(value),
                    Err(_) => problems.push(format!("line {number}: version \"{value}\": expected a number")),
                },
                Some(("greeting", "")) => problems.push(format!("line {number}: greeting: expected some text")),
                Some(("greeting", value)) => greeting = Some(value.to_owned()),
                Some((name, _)) => {
                    problems.push(format!("line {number}: \"{name}\": unknown, expected version or greeting"));
                }
                None => problems.push(format!("line {number}: \"{line}\": expected name = value")),
            }
        }
        match (version, greeting) {
            (Some(version), Some(text)) if problems.is_empty() => Ok(Self { version, text }),
            (version, greeting) => {
                // A line that was there and wrong is not missing as well.
                if problems.is_empty() {
                    let missing = [("version", version.is_none()), ("greeting", greeting.is_none())];
                    let missing = missing.iter().filter(|(_, missing)| *missing);
                    problems.extend(missing.map(|(name, _)| format!("{name}: missing")));
                }
                Err(problems)
            }
        }
    }

    /// The file that says this.
    pub fn to_file(&self) -> String {
        format!("version = {}\ngreeting = {}\n", self.version, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let greeting = Greeting { version: 7, text: "Grüß Gott = hello".into() };
        assert_eq!(Greeting::parse(&greeting.to_file()), Ok(greeting));
    }

    #[test]
    fn every_problem_is_named_with_its_line() {
        let cases: [(&str, &[&str]); 5] = [
            ("", &["version: missing", "greeting: missing"]),
            ("version = 1", &["greeting: missing"]),
            (
                "# a comment\nversion = seven\ngreeting =\n",
                &["line 2: version \"seven\": expected a number", "line 3: greeting: expected some text"],
            ),
            ("greeting: hello", &["line 1: \"greeting: hello\": expected name = value"]),
            ("version = 1\ngreetings = hello", &["line 2: \"greetings\": unknown, expected version or greeting"]),
        ];
        for (text, expected) in cases {
            assert_eq!(Greeting::parse(text).unwrap_err(), expected, "{text:?}");
        }
    }
}
