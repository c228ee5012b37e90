//! Reading one time: items and bytes in, a moment out.

use super::{civil, spec::Item};
use crate::record::Time;

const SECONDS_A_DAY: i64 = 86_400;
const NANOS: i64 = 1_000_000_000;

/// What a time says, before it is put together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    year: Option<i32>,
    century: Option<i32>,
    month: Option<u8>,
    day: Option<u8>,
    year_day: Option<u16>,
    hour: u8,
    afternoon: Option<bool>,
    minute: u8,
    second: u8,
    nanos: u32,
    /// Seconds east of Greenwich.
    offset: i32,
    /// Milliseconds since 1970: nothing else counts then, but for the fraction.
    epoch: Option<i64>,
}

impl Parts {
    pub(super) fn read(items: &[Item], text: &[u8], offset: i32) -> Option<Self> {
        let mut parts = Self {
            year: None,
            century: None,
            month: None,
            day: None,
            year_day: None,
            hour: 0,
            afternoon: None,
            minute: 0,
            second: 0,
            nanos: 0,
            offset,
            epoch: None,
        };
        let mut rest = text;
        for item in items {
            parts.item(*item, &mut rest)?;
        }
        Some(parts)
    }

    fn item(&mut self, item: Item, rest: &mut &[u8]) -> Option<()> {
        match item {
            Item::Literal(byte) => *rest = rest.strip_prefix(&[byte])?,
            Item::Space => *rest = rest.trim_ascii_start(),
            Item::Between => *rest = rest.strip_prefix(b"T").or(rest.strip_prefix(b" ")).or(rest.strip_prefix(b"t"))?,
            Item::Year => self.year = Some(number(rest, 4, 0, 9999)? as i32),
            Item::YearOfCentury => {
                let year = number(rest, 2, 0, 99)? as i32;
                self.year = Some(if year < 69 { 2000 + year } else { 1900 + year });
            }
            Item::Century => self.century = Some(number(rest, 2, 0, 99)? as i32),
            Item::Month => self.month = Some(number(rest, 2, 1, 12)? as u8),
            Item::MonthName => self.month = Some(name(rest, &MONTHS)? as u8 + 1),
            Item::Day => {
                *rest = rest.trim_ascii_start();
                self.day = Some(number(rest, 2, 1, 31)? as u8);
            }
            Item::YearDay => self.year_day = Some(number(rest, 3, 1, 366)? as u16),
            Item::WeekdayName => {
                name(rest, &WEEKDAYS)?;
            }
            Item::Hour => {
                *rest = rest.trim_ascii_start();
                self.hour = number(rest, 2, 0, 23)? as u8;
            }
            Item::Hour12 => {
                *rest = rest.trim_ascii_start();
                self.hour = number(rest, 2, 1, 12)? as u8;
            }
            Item::Meridiem => self.afternoon = Some(meridiem(rest)?),
            Item::Minute => self.minute = number(rest, 2, 0, 59)? as u8,
            Item::Second => self.second = number(rest, 2, 0, 60)? as u8,
            Item::Fraction(point, digits) => self.nanos = fraction(rest, point, digits)?,
            Item::Epoch => self.epoch = Some(epoch(rest)?.checked_mul(1000)?),
            Item::EpochMillis => self.epoch = Some(epoch(rest)?),
            Item::Zone => {
                *rest = rest.trim_ascii_start();
                self.offset = zone(rest)?;
            }
            Item::ZoneIfAny => self.offset = zone(rest).unwrap_or(self.offset),
            Item::Zulu => {
                *rest = rest.strip_prefix(b"Z")?;
                self.offset = 0;
            }
            Item::Ignored(digits) => {
                number(rest, digits, 0, 9999)?;
            }
        }
        Some(())
    }

    /// For formats that say the year. A date that they do not say begins with it.
    pub(super) fn time(&self) -> Option<Time> {
        if let Some(millis) = self.epoch {
            return Some(Time(millis.checked_mul(1_000_000)?.checked_add(i64::from(self.nanos))?));
        }
        let mut year = self.year?;
        if let Some(century) = self.century {
            year = century * 100 + year % 100;
        }
        self.at(self.days(year)?)
    }

    /// For formats that do not: see [`super::Format::parse`].
    pub(super) fn time_near(&self, now: Time) -> Option<Time> {
        const WEEK: i64 = 7 * SECONDS_A_DAY * NANOS;
        let today = (now.0.div_euclid(NANOS) + i64::from(self.offset)).div_euclid(SECONDS_A_DAY);
        if self.month.is_none() && self.day.is_none() && self.year_day.is_none() {
            let at = self.at(today)?;
            let is_ahead = at.0 > now.0.saturating_add(12 * 3600 * NANOS);
            return if is_ahead { self.at(today - 1) } else { Some(at) };
        }
        let (year, ..) = civil::date(today);
        // A leap day may be the one before last: eight years back where a century has none.
        let years = (year - 8..=year + 1).rev();
        let mut times = years.filter_map(|year| self.at(self.days(year)?));
        times.find(|time| time.0 <= now.0.saturating_add(WEEK))
    }

    /// The day that is meant, as days since 1970, if that year has it.
    fn days(&self, year: i32) -> Option<i64> {
        match (self.year_day, self.month, self.day) {
            (Some(day), None, _) | (Some(day), _, None) => {
                let exists = day <= 365 || civil::is_leap(year);
                exists.then(|| civil::days(year, 1, 1) + i64::from(day) - 1)
            }
            (_, month, day) => {
                let (month, day) = (month.unwrap_or(1), day.unwrap_or(1));
                (day <= civil::days_in(year, month)).then(|| civil::days(year, month, day))
            }
        }
    }

    fn at(&self, days: i64) -> Option<Time> {
        let hour = match self.afternoon {
            None => self.hour,
            Some(afternoon) if self.hour <= 12 => self.hour % 12 + if afternoon { 12 } else { 0 },
            Some(_) => return None,
        };
        let of_day = i64::from(hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        let seconds = days * SECONDS_A_DAY + of_day - i64::from(self.offset);
        Some(Time(seconds.checked_mul(NANOS)?.checked_add(i64::from(self.nanos))?))
    }
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/// Which of them it begins with, in full or by the first three letters, in any case.
fn name(rest: &mut &[u8], names: &[&str]) -> Option<usize> {
    let short = rest.first_chunk::<3>()?.map(|byte| byte.to_ascii_lowercase());
    let found = names.iter().position(|name| name.as_bytes().first_chunk() == Some(&short))?;
    let full = names[found].as_bytes();
    let is_full = rest.get(..full.len()).is_some_and(|head| head.eq_ignore_ascii_case(full));
    *rest = &rest[if is_full { full.len() } else { 3 }..];
    Some(found)
}

/// Whether it is after noon.
fn meridiem(rest: &mut &[u8]) -> Option<bool> {
    let (letters, more) = rest.split_first_chunk::<2>()?;
    *rest = more;
    match letters {
        [b'a' | b'A', b'm' | b'M'] => Some(false),
        [b'p' | b'P', b'm' | b'M'] => Some(true),
        _ => None,
    }
}

/// A number of at most so many digits, and not out of its range.
fn number(rest: &mut &[u8], digits: u8, least: u32, most: u32) -> Option<u32> {
    let mut value = 0;
    let mut length = 0;
    for byte in rest.iter().take(usize::from(digits)).take_while(|byte| byte.is_ascii_digit()) {
        value = value * 10 + u32::from(byte - b'0');
        length += 1;
    }
    *rest = &rest[length..];
    (length > 0 && (least..=most).contains(&value)).then_some(value)
}

/// In nanoseconds. Digits after the ninth are passed over.
fn fraction(rest: &mut &[u8], point: Option<u8>, digits: u8) -> Option<u32> {
    if let Some(point) = point {
        match rest.split_first() {
            // Both are in use, and no format means one to the exclusion of the other.
            Some((first, more)) if *first == point || (*first == b',' && point == b'.') => *rest = more,
            _ => return Some(0),
        }
    }
    let most = if digits == 9 { rest.len() } else { usize::from(digits) };
    let length = rest.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, more) = rest.split_at(length);
    *rest = more;
    let value = digits.iter().take(9).fold(0, |value, byte| value * 10 + u32::from(byte - b'0'));
    (length > 0).then(|| value * 10_u32.pow(9 - length.min(9) as u32))
}

fn epoch(rest: &mut &[u8]) -> Option<i64> {
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, more) = rest.split_at(length);
    *rest = more;
    str::from_utf8(digits).ok()?.parse().ok()
}

/// `Z`, `+hh`, `+hhmm`, `+hh:mm` and the names of RFC 822. Other abbreviations mean different things in different
/// places.
pub(super) fn zone(rest: &mut &[u8]) -> Option<i32> {
    const NAMES: [(&[u8], i32); 12] = [
        (b"UTC", 0),
        (b"GMT", 0),
        (b"UT", 0),
        (b"Z", 0),
        (b"EST", -5),
        (b"EDT", -4),
        (b"CST", -6),
        (b"CDT", -5),
        (b"MST", -7),
        (b"MDT", -6),
        (b"PST", -8),
        (b"PDT", -7),
    ];
    let sign = match rest.first()? {
        b'+' => 1,
        b'-' => -1,
        first => {
            let names = NAMES.iter().filter(|(name, _)| name[0] == first.to_ascii_uppercase());
            let (name, hours) = names.clone().find(|(name, _)| {
                rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name))
                    && !rest.get(name.len()).is_some_and(u8::is_ascii_alphabetic)
            })?;
            *rest = &rest[name.len()..];
            return Some(hours * 3600);
        }
    };
    let mut digits = &rest[1..];
    let two = |digits: &mut &[u8]| {
        let before = digits.len();
        number(digits, 2, 0, 59).filter(|_| before - digits.len() == 2)
    };
    let hours = two(&mut digits)?;
    let minutes = match digits {
        [b':', more @ ..] if more.first().is_some_and(u8::is_ascii_digit) => {
            digits = more;
            two(&mut digits)?
        }
        [b'0'..=b'9', ..] => two(&mut digits)?,
        _ => 0,
    };
    *rest = digits;
    Some(sign * (hours * 3600 + minutes * 60) as i32)
}
