//! `process_*` metrics, read from /proc when somebody scrapes and never otherwise.

use prometheus::{
    Gauge, IntGauge, Opts,
    core::{Collector, Desc},
    proto::{MetricFamily, MetricType},
};

use values::read_text;

/// The metrics that every Prometheus client library exposes, under their usual names.
pub(crate) struct ProcessMetrics {
    cpu: Gauge,
    resident: IntGauge,
    virtual_size: IntGauge,
    start: Gauge,
    threads: IntGauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
}

impl ProcessMetrics {
    pub(crate) fn new() -> prometheus::Result<Self> {
        Ok(Self {
            cpu: Gauge::new("process_cpu_seconds_total", "User and system CPU time spent.")?,
            resident: IntGauge::new("process_resident_memory_bytes", "Resident memory size.")?,
            virtual_size: IntGauge::new("process_virtual_memory_bytes", "Virtual memory size.")?,
            start: Gauge::new("process_start_time_seconds", "Start time since the Unix epoch.")?,
            threads: IntGauge::new("process_threads", "Number of threads.")?,
            open_fds: IntGauge::new("process_open_fds", "Number of open file descriptors.")?,
            max_fds: IntGauge::with_opts(Opts::new("process_max_fds", "Most file descriptors that may be open."))?,
        })
    }

    fn all(&self) -> [&dyn Collector; 7] {
        [&self.cpu, &self.resident, &self.virtual_size, &self.start, &self.threads, &self.open_fds, &self.max_fds]
    }

    /// Reads /proc/self. What cannot be read keeps its last value.
    fn refresh(&self) -> Option<()> {
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let page = rustix::param::page_size() as i64;
        let stat = read_text("/proc/self/stat".as_ref(), 4096).ok()?;
        // Field numbers of proc(5), counted from the state, which is field 3.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        self.cpu.set((field(14)? + field(15)?) / ticks);
        self.threads.set(field(20)? as i64);
        self.virtual_size.set(field(23)? as i64);
        self.resident.set(field(24)? as i64 * page);
        self.start.set(boot_time()? + field(22)? / ticks);
        self.open_fds.set(std::fs::read_dir("/proc/self/fd").ok()?.count() as i64);
        let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        self.max_fds.set(most.map_or(-1, |most| most as i64));
        Some(())
    }
}

fn boot_time() -> Option<f64> {
    let stat = read_text("/proc/stat".as_ref(), 4 << 20).ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

impl Collector for ProcessMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.refresh();
        let mut families: Vec<MetricFamily> = self.all().into_iter().flat_map(Collector::collect).collect();
        // A counter by its meaning; a gauge in the code because it is set from outside.
        if let Some(cpu) = families.first_mut() {
            for metric in cpu.mut_metric() {
                let mut counter = prometheus::proto::Counter::default();
                counter.set_value(metric.get_gauge().get_value());
                metric.set_counter(counter);
            }
            cpu.set_field_type(MetricType::COUNTER);
        }
        families
    }
}
