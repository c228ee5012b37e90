//! Decimal numbers times a unit.

/// No unit is so large that a digit after these counts.
const PLACES: usize = 20;

/// `number * unit`, rounded down. Exact: "1.5" and "h" give 5400 s. Floating point is off by bytes in large sizes.
pub(crate) fn scaled(number: &str, unit: u64) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let fraction = &fraction[..fraction.len().min(PLACES)];
    let parts = if fraction.is_empty() { 0 } else { fraction.parse::<u128>().ok()? };
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    let unit = u128::from(unit);
    Some(u128::from(whole) * unit + parts * unit / 10_u128.pow(fraction.len() as u32))
}
