//! Writing times: RFC 3339 for records, and what strftime does for the names of indices.

use std::fmt::{self, Write};

use super::civil;
use crate::record::Time;

const NANOS: i64 = 1_000_000_000;

/// Writes RFC 3339 in UTC. Remembers the last second: most records share it with the one before.
#[derive(Clone, Debug)]
pub struct Writer {
    second: i64,
    /// `2026-11-21T05:13:16.` for it.
    text: [u8; 20],
}

impl Default for Writer {
    fn default() -> Self {
        let mut writer = Self { second: 0, text: *b"1970-01-01T00:00:00." };
        writer.turn_to(0);
        writer
    }
}

impl Writer {
    /// Adds `2026-11-21T05:13:16.154Z`.
    pub fn millis(&mut self, time: Time, out: &mut Vec<u8>) {
        let nanos = self.second(time);
        let mut text = *b"1970-01-01T00:00:00.000Z";
        text[..20].copy_from_slice(&self.text);
        digits(&mut text[20..23], nanos / 1_000_000);
        out.extend_from_slice(&text);
    }

    /// Adds `2026-11-21T05:13:16.154000000Z`.
    pub fn nanos(&mut self, time: Time, out: &mut Vec<u8>) {
        let nanos = self.second(time);
        let mut text = *b"1970-01-01T00:00:00.000000000Z";
        text[..20].copy_from_slice(&self.text);
        digits(&mut text[20..29], nanos);
        out.extend_from_slice(&text);
    }

    /// Has `text` for the second of this time, and gives what is left.
    fn second(&mut self, time: Time) -> u32 {
        let second = time.0.div_euclid(NANOS);
        if second != self.second {
            self.turn_to(second);
        }
        time.0.rem_euclid(NANOS) as u32
    }

    fn turn_to(&mut self, second: i64) {
        self.second = second;
        let moment = Moment::at(second, 0);
        // Nanoseconds since 1970 in 64 bits end in 2262 and begin in 1677: years have four digits.
        digits(&mut self.text[..4], moment.year as u32);
        digits(&mut self.text[5..7], u32::from(moment.month));
        digits(&mut self.text[8..10], u32::from(moment.day));
        digits(&mut self.text[11..13], moment.hour());
        digits(&mut self.text[14..16], moment.minute());
        digits(&mut self.text[17..19], moment.second());
    }
}

fn digits(text: &mut [u8], mut number: u32) {
    for byte in text.iter_mut().rev() {
        *byte = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// A time taken apart, in UTC.
struct Moment {
    days: i64,
    year: i32,
    month: u8,
    day: u8,
    of_day: u32,
    nanos: u32,
}

impl Moment {
    fn of(time: Time) -> Self {
        Self::at(time.0.div_euclid(NANOS), time.0.rem_euclid(NANOS) as u32)
    }

    fn at(second: i64, nanos: u32) -> Self {
        let days = second.div_euclid(86_400);
        let (year, month, day) = civil::date(days);
        Self { days, year, month, day, of_day: second.rem_euclid(86_400) as u32, nanos }
    }

    fn hour(&self) -> u32 {
        self.of_day / 3600
    }

    fn minute(&self) -> u32 {
        self.of_day / 60 % 60
    }

    fn second(&self) -> u32 {
        self.of_day % 60
    }

    fn year_day(&self) -> i64 {
        self.days - civil::days(self.year, 1, 1) + 1
    }

    /// The year and week that the Thursday of this week is in, as ISO 8601 counts.
    fn week(&self) -> (i32, i64) {
        let thursday = self.days - (civil::weekday(self.days) as i64 + 6) % 7 + 3;
        let (year, ..) = civil::date(thursday);
        (year, (thursday - civil::days(year, 1, 1)) / 7 + 1)
    }
}

/// How a time becomes a name: `%Y.%m.%d`, in UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Conversion(char),
    /// So many digits.
    Fraction(u8),
}

/// What [`Pattern`] knows, beside `%%` and fractions.
const CONVERSIONS: &str = "YCymdejHIMSpaAbBhsuwVGz";

impl Pattern {
    pub fn new(spec: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = spec.chars();
        while let Some(char) = rest.next() {
            if char != '%' {
                text.push(char);
                continue;
            }
            let piece = match rest.next() {
                Some('%') => {
                    text.push('%');
                    continue;
                }
                Some('L') => vec![Piece::Fraction(3)],
                Some('N' | 'f') => vec![Piece::Fraction(9)],
                Some(digit @ '1'..='9') if rest.clone().next().is_some_and(|next| matches!(next, 'N' | 'L')) => {
                    rest.next();
                    vec![Piece::Fraction(digit as u8 - b'0')]
                }
                Some('T') => Self::new("%H:%M:%S")?.0,
                Some('F') => Self::new("%Y-%m-%d")?.0,
                Some('D') => Self::new("%m/%d/%y")?.0,
                Some('R') => Self::new("%H:%M")?.0,
                Some('Z') => vec![Piece::Text("UTC".into())],
                Some(letter) if CONVERSIONS.contains(letter) => vec![Piece::Conversion(letter)],
                Some(letter) => {
                    return Err(format!("`{spec}`: `%{letter}` is not known, expected a conversion of strftime"));
                }
                None => return Err(format!("`{spec}` ends with a %, expected a letter after it, or %%")),
            };
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.extend(piece);
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(Self(pieces))
    }

    pub fn write(&self, time: Time, out: &mut String) {
        let moment = Moment::of(time);
        for piece in &self.0 {
            // A string takes all that is written to it.
            let _ = match piece {
                Piece::Text(text) => out.write_str(text),
                Piece::Fraction(digits) => {
                    let width = usize::from(*digits);
                    write!(out, "{:0width$}", moment.nanos / 10_u32.pow(9 - u32::from(*digits)))
                }
                Piece::Conversion(letter) => moment.convert(*letter, out),
            };
        }
    }
}

impl Moment {
    fn convert(&self, letter: char, out: &mut String) -> fmt::Result {
        let month = MONTHS[usize::from(self.month - 1)];
        let weekday = civil::weekday(self.days);
        match letter {
            'Y' => write!(out, "{:04}", self.year),
            'C' => write!(out, "{:02}", self.year / 100),
            'y' => write!(out, "{:02}", self.year % 100),
            'm' => write!(out, "{:02}", self.month),
            'd' => write!(out, "{:02}", self.day),
            'e' => write!(out, "{:2}", self.day),
            'j' => write!(out, "{:03}", self.year_day()),
            'H' => write!(out, "{:02}", self.hour()),
            'I' => write!(out, "{:02}", (self.hour() + 11) % 12 + 1),
            'M' => write!(out, "{:02}", self.minute()),
            'S' => write!(out, "{:02}", self.second()),
            'p' => out.write_str(if self.hour() < 12 { "AM" } else { "PM" }),
            'a' => out.write_str(&WEEKDAYS[weekday][..3]),
            'A' => out.write_str(WEEKDAYS[weekday]),
            'b' | 'h' => out.write_str(&month[..3]),
            'B' => out.write_str(month),
            's' => write!(out, "{}", self.days * 86_400 + i64::from(self.of_day)),
            'u' => write!(out, "{}", (weekday + 6) % 7 + 1),
            'w' => write!(out, "{weekday}"),
            'V' => write!(out, "{:02}", self.week().1),
            'G' => write!(out, "{:04}", self.week().0),
            'z' => out.write_str("+0000"),
            _ => Ok(()),
        }
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, fmt::strtime, tz::TimeZone};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_get_what_jiff_writes(nanos in any::<i64>(), later in 0i64..3_000_000_000) {
            let mut writer = Writer::default();
            // The second one may be in the same second.
            for nanos in [nanos, nanos.saturating_add(later)] {
                let jiff = Timestamp::from_nanosecond(nanos.into()).unwrap();
                let mut out = Vec::new();
                writer.nanos(Time(nanos), &mut out);
                prop_assert_eq!(str::from_utf8(&out).unwrap(), format!("{jiff:.9}"));
                out.clear();
                writer.millis(Time(nanos), &mut out);
                let millis = Timestamp::from_nanosecond((nanos - nanos.rem_euclid(1_000_000)).into()).unwrap();
                prop_assert_eq!(str::from_utf8(&out).unwrap(), format!("{millis:.3}"));
            }
        }

        #[test]
        fn names_get_what_jiff_writes(nanos in any::<i64>()) {
            let spec = "logs-%Y.%m.%d %C%y %e %j %H:%I:%M:%S %p %a %A %b %B %h %u %w %V %G %T %F %D %R %z %% %3N %N é";
            let zoned = Timestamp::from_nanosecond(nanos.into()).unwrap().to_zoned(TimeZone::UTC);
            let mut out = String::new();
            Pattern::new(spec).unwrap().write(Time(nanos), &mut out);
            prop_assert_eq!(out, strtime::format(spec, &zoned).unwrap());
        }
    }

    #[test]
    fn the_names_of_indices() {
        let time = Time(1_795_238_000_123_456_789);
        for (spec, name) in [
            ("logstash-%Y.%m.%d", "logstash-2026.11.21"),
            ("%G.%V", "2026.47"),
            ("app", "app"),
            ("", ""),
            ("%L %6N %s 100%%", "123 123456 1795238000 100%"),
        ] {
            let mut out = String::new();
            Pattern::new(spec).unwrap().write(time, &mut out);
            assert_eq!(out, name);
        }
        assert!(Pattern::new("%Y.%").unwrap_err().contains("ends with a %"));
        assert!(Pattern::new("%!").unwrap_err().contains("`%!` is not known"));
        assert!(Pattern::new("%é").unwrap_err().contains("`%é` is not known"));
    }

    #[test]
    fn the_first_and_the_last_moment() {
        for nanos in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX] {
            let mut out = Vec::new();
            Writer::default().nanos(Time(nanos), &mut out);
            assert_eq!(str::from_utf8(&out).unwrap().parse::<Timestamp>().unwrap().as_nanosecond(), i128::from(nanos));
        }
    }
}
