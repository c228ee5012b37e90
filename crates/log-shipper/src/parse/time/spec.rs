//! Reading a format: `%d/%b/%Y:%H:%M:%S %z` becomes a list of what to expect.

/// One thing that a time is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Literal(u8),
    /// Any amount of white space, also none.
    Space,
    /// `T`, or a space as RFC 3339 allows it.
    Between,
    Year,
    YearOfCentury,
    Century,
    Month,
    MonthName,
    Day,
    YearDay,
    WeekdayName,
    Hour,
    Hour12,
    Meridiem,
    Minute,
    Second,
    /// At most so many digits, after this byte. Without the byte the fraction is nothing: writers leave out `.000`.
    Fraction(Option<u8>, u8),
    /// Seconds since 1970.
    Epoch,
    EpochMillis,
    Zone,
    ZoneIfAny,
    /// The letter Z after a time, which is a zone.
    Zulu,
    /// A number that says nothing new, such as the week.
    Ignored(u8),
}

impl Item {
    pub(super) fn knows_the_year(&self) -> bool {
        matches!(self, Self::Year | Self::YearOfCentury | Self::Epoch | Self::EpochMillis)
    }
}

pub(super) const RFC_3339: &[Item] = &[
    Item::Year,
    Item::Literal(b'-'),
    Item::Month,
    Item::Literal(b'-'),
    Item::Day,
    Item::Between,
    Item::Hour,
    Item::Literal(b':'),
    Item::Minute,
    Item::Literal(b':'),
    Item::Second,
    Item::Fraction(Some(b'.'), 9),
    Item::ZoneIfAny,
];

pub(super) fn compile(spec: &str) -> Result<Vec<Item>, String> {
    match spec {
        "rfc3339" | "iso8601" | "%iso8601" => return Ok(RFC_3339.to_vec()),
        "unixtime" => return Ok(vec![Item::Epoch]),
        "float" => return Ok(vec![Item::Epoch, Item::Fraction(Some(b'.'), 9)]),
        "" => return Err("the format is empty, expected such as %Y-%m-%dT%H:%M:%S.%L%z or rfc3339".into()),
        _ => {}
    }
    let mut items = Vec::new();
    add(spec, &mut items)?;
    // Written `%SZ`, it is meant.
    if let [.., Item::Second | Item::Fraction(..), last @ Item::Literal(b'Z')] = items.as_mut_slice() {
        *last = Item::Zulu;
    }
    Ok(items)
}

fn add(spec: &str, items: &mut Vec<Item>) -> Result<(), String> {
    let mut rest = spec.chars();
    while let Some(char) = rest.next() {
        if char == '%' {
            conversion(spec, &mut rest, items)?;
        } else if char.is_ascii_whitespace() {
            items.push(Item::Space);
        } else {
            items.extend(char.encode_utf8(&mut [0; 4]).bytes().map(Item::Literal));
        }
    }
    Ok(())
}

fn conversion(spec: &str, rest: &mut std::str::Chars<'_>, items: &mut Vec<Item>) -> Result<(), String> {
    let mut written = String::from("%");
    let mut width = 0;
    let letter = loop {
        let Some(char) = rest.next() else {
            return Err(format!("`{spec}` ends in the middle of `{written}`, expected a letter after it"));
        };
        written.push(char);
        match char {
            // How to write it makes no difference to reading it.
            '-' | '_' | '^' | '#' | ':' | 'E' | 'O' => {}
            '0'..='9' => width = (width * 10 + char as u32 - '0' as u32).min(9),
            _ => break char,
        }
    };
    let digits = if width == 0 { 9 } else { width as u8 };
    let item = match letter {
        'Y' => Item::Year,
        'y' => Item::YearOfCentury,
        'C' => Item::Century,
        'm' => Item::Month,
        'b' | 'B' | 'h' => Item::MonthName,
        'd' | 'e' => Item::Day,
        'j' => Item::YearDay,
        'a' | 'A' => Item::WeekdayName,
        'H' | 'k' => Item::Hour,
        'I' | 'l' => Item::Hour12,
        'p' | 'P' => Item::Meridiem,
        'M' => Item::Minute,
        'S' => Item::Second,
        'L' | 'N' | 'f' => match items.pop_if(|last| matches!(last, Item::Literal(b'.' | b','))) {
            Some(Item::Literal(point)) => Item::Fraction(Some(point), digits),
            _ => Item::Fraction(None, digits),
        },
        's' => Item::Epoch,
        'Q' => Item::EpochMillis,
        'z' | 'Z' => Item::Zone,
        'U' | 'W' | 'V' | 'g' => Item::Ignored(2),
        'u' | 'w' => Item::Ignored(1),
        'G' => Item::Ignored(4),
        'n' | 't' => Item::Space,
        '%' => Item::Literal(b'%'),
        'T' | 'X' => return add("%H:%M:%S", items),
        'D' | 'x' => return add("%m/%d/%y", items),
        'F' => return add("%Y-%m-%d", items),
        'R' => return add("%H:%M", items),
        'r' => return add("%I:%M:%S %p", items),
        'c' => return add("%a %b %e %H:%M:%S %Y", items),
        '+' => return add("%a %b %e %H:%M:%S %Z %Y", items),
        _ => return Err(format!("`{spec}`: `{written}` is not known, expected a conversion of strptime")),
    };
    items.push(item);
    Ok(())
}

/// `+09:00`, `-0530`, `Z`: how far from Greenwich, in seconds.
pub fn offset(text: &str) -> Result<i32, String> {
    let mut rest = text.as_bytes();
    match super::read::zone(&mut rest) {
        Some(seconds) if rest.is_empty() => Ok(seconds),
        _ => Err(format!("`{text}`: expected an offset such as +02:00, -0530 or Z")),
    }
}
