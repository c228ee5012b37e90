//! What holds for all inputs: asserted under property tests here, and with many more inputs by the targets in `fuzz/`.

use crate::{Encoder, Escaping, Family, Format, Kind, Shape, read_openmetrics, read_protobuf, read_text};

/// Families as one body.
pub fn written(families: &[Family], shape: Shape) -> Vec<u8> {
    let mut encoder = Encoder::new(Format::new(shape, Escaping::AllowUtf8));
    for family in families {
        family.write_to(&mut encoder);
    }
    encoder.finish();
    encoder.take(Vec::new())
}

fn text_of(families: &[Family], shape: Shape) -> String {
    String::from_utf8(written(families, shape)).expect("both are text")
}

/// No body makes a reader panic; what is read can be written, and what was written is read.
pub fn a_body_is_read_or_refused(body: &[u8]) {
    if let Ok(families) = read_protobuf(body) {
        let again = written(&families, Shape::Protobuf);
        read_protobuf(&again).expect("what was written is read");
    }
    let Ok(text) = std::str::from_utf8(body) else { return };
    if let Ok(families) = read_text(text) {
        let once = text_of(&families, Shape::Text);
        let again = read_text(&once);
        if !is_ambiguous(&families) {
            let again = again.unwrap_or_else(|problem| panic!("{problem}\n{once}"));
            assert_eq!(text_of(&again, Shape::Text), once);
        }
    }
    if let Ok(families) = read_openmetrics(text) {
        let once = text_of(&families, Shape::OpenMetrics);
        let again = read_openmetrics(&once).unwrap_or_else(|problem| panic!("{problem}\n{once}"));
        assert_eq!(text_of(&again, Shape::OpenMetrics), once);
    }
}

/// Whether a family has the name of another's samples: in text nobody can tell whose they are.
fn is_ambiguous(families: &[Family]) -> bool {
    let parts =
        families.iter().filter(|family| matches!(family.kind, Kind::Summary | Kind::Histogram | Kind::GaugeHistogram));
    let names = parts.flat_map(|family| ["_bucket", "_sum", "_count"].map(|suffix| format!("{}{suffix}", family.name)));
    names.into_iter().any(|name| families.iter().any(|family| family.name == name))
}

/// Families that are as they should be are the same after a way through any format that can carry them.
pub fn families_are_read_as_they_were_written(families: &[Family]) {
    assert_eq!(read_protobuf(&written(families, Shape::Protobuf)).as_deref(), Ok(families));
    let plain = without_native(families);
    let text = text_of(&plain, Shape::OpenMetrics);
    assert_eq!(read_openmetrics(&text).as_deref(), Ok(plain.as_slice()), "{text}");
    let plain = without_what_text_lacks(&plain);
    let text = text_of(&plain, Shape::Text);
    assert_eq!(read_text(&text).as_deref(), Ok(plain.as_slice()), "{text}");
}

fn without_native(families: &[Family]) -> Vec<Family> {
    let mut families = families.to_vec();
    for series in families.iter_mut().flat_map(|family| &mut family.series) {
        if let crate::Value::Histogram { native, .. } = &mut series.value {
            *native = None;
        }
    }
    families
}

fn without_what_text_lacks(families: &[Family]) -> Vec<Family> {
    let mut families = families.to_vec();
    for family in &mut families {
        family.unit = None;
        // Blanks before it belong to nobody.
        let help = family.help.take().map(|help| help.trim_start_matches([' ', '\t']).to_owned());
        family.help = help.filter(|help| !help.is_empty());
        for series in &mut family.series {
            series.created = None;
            match &mut series.value {
                crate::Value::Number { exemplar, .. } => *exemplar = None,
                crate::Value::Summary { .. } => {}
                crate::Value::Histogram { buckets, .. } => {
                    for bucket in buckets {
                        bucket.exemplar = None;
                    }
                }
            }
        }
    }
    families
}

#[cfg(test)]
#[path = "invariants_tests.rs"]
mod tests;
