//! How far everything is: for `/files`, for `log-shipper status`, and for the metrics of what is left to ship.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use common::{
    AdminRoutes, Answer, Failure,
    prometheus::{
        self, GaugeVec, Opts, Registry,
        core::{Collector, Desc},
        proto::MetricFamily,
    },
};
use tokio::sync::watch;

use crate::{
    config::Config,
    follow::{Followed, NOT_TAKEN, View},
    json,
};

/// Handed to the pipeline, which says what there is to show.
#[derive(Clone, Default)]
pub struct Status(Arc<Mutex<Shown>>);

#[derive(Default)]
struct Shown {
    outputs: Vec<String>,
    view: Option<watch::Receiver<View>>,
}

impl Status {
    pub fn new(registry: &Registry, routes: &AdminRoutes) -> Result<Self, Failure> {
        let status = Self::default();
        let backlog = Backlog::new(status.clone()).map_err(|error| Failure::bug(error.to_string()))?;
        registry.register(Box::new(backlog)).map_err(|error| Failure::bug(error.to_string()))?;
        let shown = status.clone();
        routes.get("/files", move |_| Answer { status: 200, content_type: "application/json", body: shown.json() });
        Ok(status)
    }

    pub fn show(&self, config: &Config, view: watch::Receiver<View>) {
        let outputs = config.outputs.iter().map(|output| output.name.clone()).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Shown { outputs, view: Some(view) };
    }

    fn shown(&self) -> (Vec<String>, Arc<[Arc<Followed>]>) {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let files = shown.view.as_ref().map(|view| Arc::clone(&view.borrow().files)).unwrap_or_default();
        (shown.outputs.clone(), files)
    }

    /// One object for each file, with how far each output is.
    fn json(&self) -> String {
        let (outputs, files) = self.shown();
        let mut body = b"[".to_vec();
        for file in files.iter() {
            if body.len() > 1 {
                body.push(b',');
            }
            body.extend_from_slice(b"\n{\"path\":");
            json::string(file.origin.path.as_bytes(), &mut body);
            body.extend_from_slice(b",\"tag\":");
            json::string(file.origin.tag.as_bytes(), &mut body);
            let quiet = file.written().elapsed().as_secs();
            let (size, ended) = (file.size(), file.has_ended());
            body.extend_from_slice(
                format!(",\"size\":{size},\"quiet_seconds\":{quiet},\"rotated\":{ended},\"outputs\":{{").as_bytes(),
            );
            let taken = outputs.iter().enumerate().filter(|(lane, _)| file.acked(*lane) != NOT_TAKEN);
            for (nth, (lane, name)) in taken.enumerate() {
                if nth > 0 {
                    body.push(b',');
                }
                json::key(name, &mut body);
                body.extend_from_slice(file.acked(lane).to_string().as_bytes());
            }
            body.extend_from_slice(b"}}");
        }
        body.extend_from_slice(b"\n]\n");
        String::from_utf8_lossy(&body).into_owned()
    }

    /// Bytes that an output does not have yet, and since when the oldest of them wait.
    fn backlog(&self) -> Vec<(String, u64, f64)> {
        let (outputs, files) = self.shown();
        let backlog = |(lane, name): (usize, String)| {
            let behind = files.iter().filter(|file| file.acked(lane) < file.size());
            let bytes = behind.clone().map(|file| file.size() - file.acked(lane)).sum();
            let waits = behind.map(|file| file.delivered(lane).elapsed().as_secs_f64());
            (name, bytes, waits.fold(0.0, f64::max))
        };
        outputs.into_iter().enumerate().map(backlog).collect()
    }
}

/// Asked when somebody looks at the metrics, so that nothing is counted when nobody does.
struct Backlog {
    status: Status,
    bytes: GaugeVec,
    seconds: GaugeVec,
}

impl Backlog {
    fn new(status: Status) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| GaugeVec::new(Opts::new(name, help), &["output"]);
        Ok(Self {
            status,
            bytes: gauge("log_shipper_backlog_bytes", "Bytes of the files that an output does not have yet.")?,
            seconds: gauge(
                "log_shipper_backlog_seconds",
                "How long an output has taken nothing of a file that has more.",
            )?,
        })
    }
}

impl Collector for Backlog {
    fn desc(&self) -> Vec<&Desc> {
        self.bytes.desc().into_iter().chain(self.seconds.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.bytes.reset();
        self.seconds.reset();
        for (output, bytes, seconds) in self.status.backlog() {
            self.bytes.with_label_values(&[&output]).set(bytes as f64);
            self.seconds.with_label_values(&[&output]).set(seconds);
        }
        self.bytes.collect().into_iter().chain(self.seconds.collect()).collect()
    }
}

/// `/files` as a table for a terminal.
pub fn table(files: &str) -> Option<String> {
    let files: serde_json::Value = serde_json::from_str(files).ok()?;
    let mut rows = vec![["OUTPUT", "BEHIND", "ACKNOWLEDGED", "SIZE", "QUIET", "PATH"].map(String::from)];
    for file in files.as_array()? {
        let number = |name: &str| file[name].as_u64().unwrap_or(0);
        let (size, quiet) = (number("size"), number("quiet_seconds"));
        let path = file["path"].as_str().unwrap_or_default();
        let path = if file["rotated"] == true { format!("{path} (rotated)") } else { path.to_owned() };
        for (output, acked) in file["outputs"].as_object().into_iter().flatten() {
            let acked = acked.as_u64().unwrap_or(0);
            let behind = size.saturating_sub(acked);
            let cells = [output.clone(), behind.to_string(), acked.to_string(), size.to_string(), format!("{quiet}s")];
            let [a, b, c, d, e] = cells;
            rows.push([a, b, c, d, e, path.clone()]);
        }
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<_> = (0..5).map(width).collect();
    let mut text = String::new();
    for [output, behind, acked, size, quiet, path] in &rows {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{output:<0$}  {behind:>1$}  {acked:>2$}  {size:>3$}  {quiet:>4$}  {path}",
            widths[0], widths[1], widths[2], widths[3], widths[4]
        );
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_output_of_a_file() {
        let files = serde_json::json!([
            {"path": "/var/log/a.log", "size": 100, "quiet_seconds": 3, "rotated": false, "outputs": {"es": 40}},
            {"path": "/var/log/b.log", "size": 7, "quiet_seconds": 0, "rotated": true, "outputs": {}},
        ]);
        assert_eq!(
            table(&files.to_string()).unwrap(),
            "OUTPUT  BEHIND  ACKNOWLEDGED  SIZE  QUIET  PATH\n\
             es          60            40   100     3s  /var/log/a.log\n"
        );
    }
}
