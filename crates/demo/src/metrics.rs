//! Reads what a sidecar says at `/metrics`.

/// The samples of one scrape.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Vec<(String, f64)>);

impl Metrics {
    pub fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        };
        Self(samples.filter_map(sample).collect())
    }

    /// The sum of all series of this name that have this label; `""` is any.
    pub fn sum(&self, name: &str, label: &str) -> Option<f64> {
        let wanted = |series: &str| {
            let (found, labels) = series.split_once('{').unwrap_or((series, ""));
            found == name && labels.contains(label)
        };
        let found: Vec<f64> = self.0.iter().filter(|(series, _)| wanted(series)).map(|(_, value)| *value).collect();
        (!found.is_empty()).then(|| found.iter().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_found_by_name_and_label() {
        let metrics = Metrics::parse(
            "# HELP a x\n# TYPE a counter\na{stage=\"check\"} 2\na{stage=\"tell\"} 1\nab 9\nprocess_cpu_seconds_total 0.02\n",
        );
        assert_eq!(metrics.sum("a", "stage=\"check\""), Some(2.0));
        assert_eq!(metrics.sum("a", ""), Some(3.0));
        assert_eq!(metrics.sum("process_cpu_seconds_total", ""), Some(0.02));
        assert_eq!(metrics.sum("b", ""), None);
    }
}
