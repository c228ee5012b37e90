//! Reading times, beside what another library makes of them.

use jiff::{
    Timestamp,
    fmt::strtime,
    tz::{Offset, TimeZone},
};
use proptest::prelude::*;

use super::*;

/// 2026-11-21T05:13:16.154Z
const NOW: Time = Time(1_795_237_996_154_000_000);

fn read(spec: &str, text: &str) -> Option<Time> {
    Format::new(spec).unwrap().parse(text, NOW)
}

fn time(text: &str) -> Option<Time> {
    let nanos = text.parse::<Timestamp>().unwrap().as_nanosecond();
    Some(Time(i64::try_from(nanos).unwrap()))
}

#[test]
fn formats_that_people_have() {
    for (spec, text, moment) in [
        ("%d/%b/%Y:%H:%M:%S %z", "10/Oct/2000:13:55:36 -0700", "2000-10-10T20:55:36Z"),
        ("%Y-%m-%dT%H:%M:%S.%L", "2021-02-01T01:40:03.53412Z", "2021-02-01T01:40:03.53412Z"),
        // Go leaves out a fraction that is nothing.
        ("%Y-%m-%dT%H:%M:%S.%L", "2021-02-01T01:40:03Z", "2021-02-01T01:40:03Z"),
        ("%Y-%m-%dT%H:%M:%S.%L%z", "2021-05-17T17:35:01.184675702Z", "2021-05-17T17:35:01.184675702Z"),
        ("%Y-%m-%dT%H:%M:%S.%L%z", "2019-05-07T18:57:51.904275088+02:00", "2019-05-07T16:57:51.904275088Z"),
        ("%Y-%m-%dT%H:%M:%S.%LZ", "2019-05-07T18:57:51.9Z", "2019-05-07T18:57:51.9Z"),
        ("%Y-%m-%d %H:%M:%S,%L", "2026-01-02 03:04:05,678", "2026-01-02T03:04:05.678Z"),
        ("%Y-%m-%d %H:%M:%S.%L", "2026-01-02 03:04:05,678 INFO", "2026-01-02T03:04:05.678Z"),
        ("%Y-%m-%d %H:%M:%S.%N %z", "2026-01-02 03:04:05.678901 +0530", "2026-01-01T21:34:05.678901Z"),
        ("%Y-%m-%d %H:%M:%S.%3N", "2026-01-02 03:04:05.678", "2026-01-02T03:04:05.678Z"),
        ("%a %b %e %H:%M:%S %Y", "Sat Nov  7 05:13:16 2026", "2026-11-07T05:13:16Z"),
        ("%A, %d %B %Y %T %Z", "Saturday, 07 November 2026 05:13:16 GMT", "2026-11-07T05:13:16Z"),
        ("%b %d %H:%M:%S", "Nov 21 04:00:00", "2026-11-21T04:00:00Z"),
        ("%D %R", "11/21/26 05:13", "2026-11-21T05:13:00Z"),
        ("%F %I:%M:%S %p", "2026-11-21 12:30:00 am", "2026-11-21T00:30:00Z"),
        ("%F %r", "2026-11-21 12:30:00 PM", "2026-11-21T12:30:00Z"),
        ("%Y %j", "2024 366", "2024-12-31T00:00:00Z"),
        ("%Y%m%d%H%M%S", "20261121051316", "2026-11-21T05:13:16Z"),
        ("%y%m%d", "700101", "1970-01-01T00:00:00Z"),
        ("%C%y-%m", "2026-02", "2026-02-01T00:00:00Z"),
        ("%Y", "2026", "2026-01-01T00:00:00Z"),
        ("%s", "1795237996", "2026-11-21T05:13:16Z"),
        ("%s.%L", "1795237996.154", "2026-11-21T05:13:16.154Z"),
        ("%Q", "1795237996154", "2026-11-21T05:13:16.154Z"),
        ("unixtime", "1795237996.9", "2026-11-21T05:13:16Z"),
        ("float", "1795237996.154", "2026-11-21T05:13:16.154Z"),
        ("rfc3339", "2026-11-21T05:13:16Z", "2026-11-21T05:13:16Z"),
        ("rfc3339", "2026-11-21 05:13:16.5-01:30", "2026-11-21T06:43:16.5Z"),
        ("%iso8601", "2026-11-21T05:13:16+0100", "2026-11-21T04:13:16Z"),
        ("%Y-%m-%d%%é%n%H", "2026-11-21%é \t 05", "2026-11-21T05:00:00Z"),
        // A leap second is the first second of the next minute.
        ("rfc3339", "2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("%F %T %Z", "2026-07-01 12:00:00 EDT", "2026-07-01T16:00:00Z"),
        ("%-d/%-m/%Y", "1/2/2026", "2026-02-01T00:00:00Z"),
        ("%U %u %F", "46 6 2026-11-21", "2026-11-21T00:00:00Z"),
        ("%F", "2026-11-21 and more", "2026-11-21T00:00:00Z"),
    ] {
        assert_eq!(read(spec, text), time(moment), "{spec} {text}");
    }
}

#[test]
fn what_is_no_time() {
    let long = "9".repeat(1 << 20);
    for (spec, text) in [
        ("%Y-%m-%d", ""),
        ("%Y-%m-%d", "2026-11"),
        ("%Y-%m-%d", "2026-13-01"),
        ("%Y-%m-%d", "2026-02-29"),
        ("%Y-%m-%d", "2026/02/28"),
        ("%Y-%m-%d", "\0\0\0\0"),
        ("%Y %j", "2026 366"),
        ("%H:%M %Y", "24:00 2026"),
        ("%Y %I %p", "2026 13 AM"),
        ("%Y %p", "2026 xm"),
        ("%Y %z", "2026 +1"),
        ("%Y %z", "2026 +0a"),
        ("%Y %z", "2026 +099"),
        ("%Y %Z", "2026 CEST"),
        ("%Y %Z", "2026 UTCX"),
        ("%Y %b", "2026 No"),
        ("%Y %a", "2026 "),
        ("%S.%L %Y", "01. 2026"),
        ("%s", ""),
        ("%s", "-1"),
        ("%s", &long),
        ("%Q", &long),
        ("%s", "9223372036854775807"),
        ("%Y-%m-%d", "9999-12-31"),
        ("%Y-%m-%d", "0001-01-01"),
        ("%Y %L", &format!("2026 é{long}")),
    ] {
        assert_eq!(read(spec, text), None, "{spec} {}", &text[..text.len().min(40)]);
    }
}

#[test]
fn a_year_that_is_not_said_is_the_likely_one() {
    for (now, text, moment) in [
        ("2026-11-21T00:00:00Z", "Nov 21 04:00:00", "2026-11-21T04:00:00Z"),
        ("2027-01-01T00:00:05Z", "Dec 31 23:59:59", "2026-12-31T23:59:59Z"),
        ("2026-12-31T23:59:58Z", "Jan  1 00:00:01", "2027-01-01T00:00:01Z"),
        ("2026-11-21T00:00:00Z", "Nov 27 00:00:00", "2026-11-27T00:00:00Z"),
        ("2026-11-21T00:00:00Z", "Nov 29 00:00:00", "2025-11-29T00:00:00Z"),
        ("2026-11-21T00:00:00Z", "Feb 29 00:00:00", "2024-02-29T00:00:00Z"),
        ("1905-01-01T00:00:00Z", "Feb 29 00:00:00", "1904-02-29T00:00:00Z"),
        ("1903-01-01T00:00:00Z", "Feb 29 00:00:00", "1896-02-29T00:00:00Z"),
    ] {
        let format = Format::new("%b %e %T").unwrap();
        assert!(format.needs_now());
        assert_eq!(format.parse(text, time(now).unwrap()), time(moment), "{now} {text}");
    }
    assert_eq!(read("%b %e", "Feb 30"), None);
    assert!(!Format::new("%s").unwrap().needs_now());
}

#[test]
fn a_day_that_is_not_said_is_today_or_was_yesterday() {
    for (offset, text, moment) in [
        (0, "05:13:17", "2026-11-21T05:13:17Z"),
        (0, "23:59:59", "2026-11-20T23:59:59Z"),
        (3600, "05:13:17", "2026-11-21T04:13:17Z"),
        (-6 * 3600, "23:13:17", "2026-11-21T05:13:17Z"),
    ] {
        let format = Format::new("%T").unwrap().with_offset(offset);
        assert_eq!(format.parse(text, NOW), time(moment), "{offset} {text}");
    }
}

#[test]
fn an_offset_counts_where_the_time_has_none() {
    let nine = offset("+09:00").unwrap();
    for (spec, text, moment) in [
        ("%F %T", "2026-11-21 05:13:16", "2026-11-20T20:13:16Z"),
        ("%F %T %z", "2026-11-21 05:13:16 +0000", "2026-11-21T05:13:16Z"),
        ("%FT%TZ", "2026-11-21T05:13:16Z", "2026-11-21T05:13:16Z"),
        ("%FT%T.%LZ", "2026-11-21T05:13:16.1Z", "2026-11-21T05:13:16.1Z"),
        ("rfc3339", "2026-11-21T05:13:16", "2026-11-20T20:13:16Z"),
        ("rfc3339", "2026-11-21T05:13:16Z", "2026-11-21T05:13:16Z"),
        ("%s", "0", "1970-01-01T00:00:00Z"),
    ] {
        let format = Format::new(spec).unwrap().with_offset(nine);
        assert_eq!(format.parse(text, NOW), time(moment), "{spec}");
    }
    for (text, seconds) in [("Z", 0), ("-0530", -19_800), ("+01", 3600), ("UTC", 0)] {
        assert_eq!(offset(text), Ok(seconds));
    }
    for text in ["", "+", "+1", "9", "+01:", "+0100x", "Europe/Berlin"] {
        assert!(offset(text).unwrap_err().contains("expected an offset such as"), "{text}");
    }
}

#[test]
fn a_format_that_is_wrong_is_named() {
    for (spec, problem) in [
        ("", "the format is empty"),
        ("%Y-%", "ends in the middle of `%`"),
        ("%Y-%3", "ends in the middle of `%3`"),
        ("%Y %i", "`%i` is not known"),
        ("%é", "`%é` is not known"),
        ("%99999999999999Y%1", "ends in the middle of `%1`"),
    ] {
        let said = Format::new(spec).unwrap_err();
        assert!(said.contains(problem), "{spec}: {said}");
    }
}

const ROUND_TRIPS: [&str; 12] = [
    "%Y-%m-%dT%H:%M:%S.%f%z",
    "%d/%b/%Y:%H:%M:%S %z",
    "%a, %d %b %Y %T %z",
    "%A %B %e %Y %I:%M:%S %p %z",
    "%Y-%j %H:%M:%S %z",
    "%F %R %z",
    "%D %T %z",
    "%s",
    "%Y%m%d%H%M%S%z",
    "%Y-%m-%d %k:%M:%S.%3f %z",
    "%Y-%m-%d %l:%M:%S %P %:z",
    "%h %e %Y %T.%6f %z",
];

proptest! {
    #[test]
    fn what_jiff_writes_is_read(second in -3_000_000_000_i64..4_000_000_000, nanos in 0i64..1_000_000_000,
                                minutes in -14i32 * 60..14 * 60, which in 0..ROUND_TRIPS.len()) {
        let spec = ROUND_TRIPS[which];
        let zone = TimeZone::fixed(Offset::from_seconds(minutes * 60).unwrap());
        let zoned = Timestamp::new(second, nanos as i32).unwrap().to_zoned(zone);
        let text = strtime::format(spec, &zoned).unwrap();
        let digits = match spec {
            spec if spec.contains("%f") => 1,
            spec if spec.contains("%3f") => 1_000_000,
            spec if spec.contains("%6f") => 1000,
            _ => 1_000_000_000,
        };
        let mut expected = zoned.timestamp().as_nanosecond() as i64;
        expected -= expected.rem_euclid(digits);
        if spec.contains("%R") {
            expected -= expected.rem_euclid(60_000_000_000);
        }
        if (spec.contains("%D") && !(1969..2069).contains(&zoned.year())) || (spec == "%s" && second < 0) {
            return Ok(());
        }
        prop_assert_eq!(read(spec, &text), Some(Time(expected)), "{} {}", spec, text);
        if spec.contains("%f") {
            prop_assert_eq!(read("rfc3339", &text), Some(Time(expected)), "{}", text);
        }
    }

    #[test]
    fn no_text_breaks_it(text in ".{0,40}", spec in prop::sample::select(&ROUND_TRIPS[..]), now in any::<i64>()) {
        let _ = Format::new(spec).unwrap().parse(&text, Time(now));
        let _ = Format::new("%b %e %T").unwrap().parse(&text, Time(now));
        let _ = Format::new("%T").unwrap().parse("12:00:00", Time(now));
        let _ = Format::new("%b %e").unwrap().parse("Feb 29", Time(now));
    }

    #[test]
    fn no_format_breaks_it(spec in "(%[-0-9a-zA-Z%]|.){0,8}", text in "[0-9 :TZ+-]{0,30}") {
        if let Ok(format) = Format::new(&spec) {
            let _ = format.parse(&text, NOW);
        }
        let _ = Pattern::new(&spec).map(|pattern| pattern.write(NOW, &mut String::new()));
    }
}
