//! With the servers that the documents name: nginx and python.

use std::time::Duration;

use test_kit::{elastic::ElasticServer, eventually, http::get};

use crate::{
    kit::{PATIENCE, answer},
    play, seed,
};

#[test]
fn fluent_bit_ships_the_logs_of_nginx_to_elasticsearch() {
    let elastic = ElasticServer::start();
    let outside = format!("elasticsearch.logging.svc:9200={}", elastic.addr());
    let play = play("000-pattern-1-fluent-bit", &["--grace", "8s", "--outside", &outside, "--forward", "0:80"]);
    play.wait("app-with-logging: 2/2 Running, 0 restarts");
    let addr = play.forwarded(80);
    let came = eventually(PATIENCE, || {
        assert!(answer(addr, "/?shipped").body.contains("Welcome to nginx!"));
        std::thread::sleep(Duration::from_millis(300));
        elastic.documents().iter().any(|document| document.source.to_string().contains("GET /?shipped HTTP/1.1"))
    });
    assert!(came, "{:?}\n{}", elastic.documents(), play.log("app-with-logging", "log-shipper"));
    assert!(elastic.documents().iter().all(|document| document.index == "nginx-logs"));
    let (_, said) = play.exec("app-with-logging", "app", &["ls", "-la", "/var/log/nginx"]);
    assert!(said.contains("access.log"), "{said}");
}

#[test]
fn scenario_2_answers_through_nginx_on_port_80() {
    let play = play("001-scenario-2-nginx", &["--grace", "8s", "--forward", "0:80"]);
    play.wait("nginx-sidecar-demo: 2/2 Running, 0 restarts");
    let addr = play.forwarded(80);
    let came = eventually(PATIENCE, || {
        get(addr, "/").is_ok_and(|answer| answer.body == "Hello from main application container\n")
    });
    assert!(came, "{}", play.log("nginx-sidecar-demo", "nginx-sidecar"));
    let (_, said) = play.exec("nginx-sidecar-demo", "nginx-sidecar", &["netstat", "-tulnp"]);
    let line = |port: &str| {
        said.lines().any(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.starts_with(&["tcp", "0", "0", port, "0.0.0.0:*", "LISTEN"])
        })
    };
    assert!(line("0.0.0.0:80") && line("0.0.0.0:8080"), "{said}");
}

#[test]
fn scenario_3_reloads_nginx_when_the_config_map_changes() {
    let play = play("001-scenario-3-config-reload", &["--grace", "8s", "--forward", "0:80"]);
    play.wait("config-reload-sidecar: 2/2 Running, 0 restarts");
    let addr = play.forwarded(80);
    let says = |what: &str| eventually(PATIENCE, || get(addr, "/").is_ok_and(|answer| answer.body == what));
    assert!(says("Configuration Reload Demo"), "{}", play.log("config-reload-sidecar", "nginx-main"));
    play.wait_log("config-reload-sidecar", "config-reloader", "\"message\":\"ready\"");
    let text = std::fs::read_to_string(seed("001-scenario-3-config-reload")).unwrap();
    std::fs::write(&play.file, text.replace("Configuration Reload Demo", "Updated Configuration Loaded")).unwrap();
    play.wait("volume nginx-config-volume has the new content");
    assert!(says("Updated Configuration Loaded"), "{}", play.log("config-reload-sidecar", "config-reloader"));
    assert!(play.events().contains("config-reload-sidecar: 2/2 Running, 0 restarts"));
    assert!(!play.events().contains("1 restarts"), "without a restart: {}", play.events());
}

#[test]
fn the_app_with_sidecar_collects_what_is_written_to_log_dir() {
    let play = play("002-app-with-sidecar", &["--grace", "8s"]);
    play.wait("app-with-sidecar: 2/2 Running, 0 restarts");
    // Steps 2 and 5 of the document.
    let step = "export LOG_DIR=/var/log/app; mkdir -p $LOG_DIR; echo 'an app writes this' >> $LOG_DIR/app.log";
    assert!(play.exec("app-with-sidecar", "main-app", &["sh", "-c", step]).0);
    play.wait_log("app-with-sidecar", "log-collector", "an app writes this");
    let (_, said) = play.exec("app-with-sidecar", "main-app", &["ls", "-la", "/var/log/app"]);
    assert!(said.contains("app.log"), "{said}");
}
