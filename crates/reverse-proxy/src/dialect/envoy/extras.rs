//! Flags about how Envoy itself works: its hot restarts, its logs, its node. Nothing is lost when they are read over.

#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Accepted, and without effect here")]
pub struct Idle {
    #[arg(long, value_name = "N")]
    base_id: Option<u64>,
    #[arg(long)]
    use_dynamic_base_id: bool,
    #[arg(long, value_name = "FILE")]
    base_id_path: Option<String>,
    #[arg(long, value_name = "N")]
    restart_epoch: Option<u64>,
    #[arg(long)]
    disable_hot_restart: bool,
    #[arg(long, value_name = "SECONDS")]
    drain_time_s: Option<u64>,
    #[arg(long, value_name = "STRATEGY")]
    drain_strategy: Option<String>,
    #[arg(long, value_name = "SECONDS")]
    parent_shutdown_time_s: Option<u64>,
    #[arg(long, value_name = "NAME")]
    service_cluster: Option<String>,
    #[arg(long, value_name = "NAME")]
    service_node: Option<String>,
    #[arg(long, value_name = "NAME")]
    service_zone: Option<String>,
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    #[arg(long)]
    log_format_escaped: bool,
    #[arg(long, value_name = "LEVELS")]
    component_log_level: Option<String>,
    #[arg(long)]
    enable_fine_grain_logging: bool,
    #[arg(long, value_name = "MS")]
    file_flush_interval_msec: Option<u64>,
    #[arg(long, value_name = "VERSION")]
    local_address_ip_version: Option<String>,
    #[arg(long)]
    cpuset_threads: bool,
    #[arg(long)]
    reject_unknown_dynamic_fields: bool,
    #[arg(long)]
    ignore_unknown_dynamic_fields: bool,
}
