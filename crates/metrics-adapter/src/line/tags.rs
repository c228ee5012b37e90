//! Tags, in the name and after it.

use std::borrow::Cow;

use super::Styles;
use crate::map::escape;

/// Labels of a line: clean names, values as they came. A later one of the same name wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels<'l>(pub Vec<(Cow<'l, str>, &'l str)>);

impl<'l> Labels<'l> {
    pub fn set(&mut self, key: Cow<'l, str>, value: &'l str) {
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some(known) => known.1 = value,
            None => self.0.push((key, value)),
        }
    }

    /// False if there is no key, no value, or nothing between them.
    fn tag(&mut self, tag: &'l str, separator: char) -> bool {
        match tag.split_once(separator) {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => {
                self.set(escape(key), value);
                true
            }
            _ => false,
        }
    }

    /// `a:b,c:d`, each with a `#` before it if it likes. The number of those that are wrong.
    pub fn dogstatsd(&mut self, text: &'l str) -> u32 {
        let wrong = |tag: &'l str| !self.tag(tag.strip_prefix('#').unwrap_or(tag), ':');
        split(text, ',').map(wrong).map(u32::from).sum()
    }

    /// `a=b,c=d`. The number of those that are wrong.
    fn in_name(&mut self, text: &'l str, separator: char) -> u32 {
        split(text, separator).map(|tag| !self.tag(tag, '=')).map(u32::from).sum()
    }
}

/// Nothing after the last separator is not one more tag.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    text.strip_suffix(separator).map_or_else(
        || text.split(separator).take(if text.is_empty() { 0 } else { usize::MAX }),
        |text| text.split(separator).take(usize::MAX),
    )
}

/// Takes the tags out of a name. The number of those that are wrong comes with it.
pub fn take<'l>(name: &'l str, styles: &Styles, labels: &mut Labels<'l>) -> (Cow<'l, str>, u32) {
    if styles.signalfx {
        match (name.find('['), name.find(']')) {
            (Some(start), Some(end)) if start < end => {
                let wrong = labels.in_name(&name[start + 1..end], ',');
                let (before, after) = (&name[..start], &name[end + 1..]);
                let name = if after.is_empty() { before.into() } else { format!("{before}{after}").into() };
                return (name, wrong);
            }
            (None, None) => {}
            // One bracket alone, or the wrong way round.
            _ => return (name.into(), 1),
        }
    }
    let begins = |byte: &char| match byte {
        '#' => styles.librato,
        ',' => styles.influxdb,
        _ => false,
    };
    if let Some(at) = name.find(|byte: char| begins(&byte)) {
        let wrong = labels.in_name(&name[at + 1..], ',');
        return (name[..at].into(), wrong);
    }
    match name.split_once(';') {
        // A name may have a semicolon: it begins tags only where all that follows are tags.
        Some((bare, tags)) if styles.graphite && !bare.is_empty() && tags.split(';').all(is_tag) => {
            (bare.into(), labels.in_name(tags, ';'))
        }
        _ => (name.into(), 0),
    }
}

fn is_tag(text: &str) -> bool {
    text.split_once('=').is_some_and(|(key, value)| !key.is_empty() && !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(name: &str) -> (String, Vec<(String, String)>, u32) {
        let mut labels = Labels::default();
        let (bare, wrong) = take(name, &Styles::default(), &mut labels);
        let labels = labels.0.into_iter().map(|(key, value)| (key.into_owned(), value.to_owned())).collect();
        (bare.into_owned(), labels, wrong)
    }

    #[test]
    fn tags_are_taken_out_of_names() {
        for (name, bare, tags, wrong) in [
            ("foo", "foo", "", 0),
            ("foo#a=b,c=d", "foo", "a=b c=d ", 0),
            ("foo,a=b,c=d", "foo", "a=b c=d ", 0),
            ("foo.[a=b,c=d]test", "foo.test", "a=b c=d ", 0),
            ("foo[a=b]", "foo", "a=b ", 0),
            ("foo.[]test", "foo.test", "", 0),
            ("foo.[a,b]test", "foo.test", "", 2),
            ("[a=b,c=dfoo", "[a=b,c=dfoo", "", 1),
            ("foo]a=1[", "foo]a=1[", "", 1),
            ("foo;a=b;c=d", "foo", "a=b c=d ", 0),
            ("foo;a;c=d", "foo;a;c=d", "", 0),
            ("foo,a-b=1,a.b=2", "foo", "a_b=2 ", 0),
            ("foo,a=b,,", "foo", "a=b ", 1),
        ] {
            let (is, labels, errors) = taken(name);
            let labels: String = labels.iter().map(|(key, value)| format!("{key}={value} ")).collect();
            assert_eq!((is.as_str(), labels.as_str(), errors), (bare, tags, wrong), "{name}");
        }
    }
}
