//! nginx: its directives, its flags, its words.

use test_kit::{Signal, eventually};

use crate::Bench;

/// One server with these locations.
fn server(locations: &str) -> String {
    format!(
        "events {{}}\nhttp {{ access_log off; server {{ listen 127.0.0.1:OURPORT; server_name a.test;\n{locations}\n}} }}\n"
    )
}

#[test]
fn locations_are_chosen_as_nginx_does() {
    let bench = Bench::new();
    let _running = bench.running(
        "nginx",
        &server(
            "location = / { return 200 exact-root; }
             location / { return 200 root; }
             location /images/ { return 200 images; }
             location ^~ /static/ { return 200 static; }
             location ~ \\.(gif|jpg)$ { return 200 picture; }
             location ~* \\.PNG$ { return 200 png; }
             location /images/deep/ { return 200 deep; }",
        ),
    );
    for (path, body) in [
        ("/", "exact-root"),
        ("/x", "root"),
        ("/images/1.txt", "images"),
        ("/images/deep/x", "deep"),
        ("/images/1.gif", "picture"),
        ("/static/1.gif", "static"),
        ("/a.png", "png"),
        ("/a.GIF", "root"),
        ("/x/../images//y", "images"),
    ] {
        assert_eq!(bench.get(path).body, body, "{path}");
    }
}

#[test]
fn a_host_in_a_variable_is_a_host() {
    let bench = Bench::new();
    let _running = bench.running(
        "nginx",
        &server(
            "resolver 127.0.0.11 valid=5s;
             set $host_of_app 127.0.0.1;
             set $app $host_of_app:APPPORT;
             location / { set $url http://$app; proxy_pass $url; }
             location /one/ { proxy_pass http://$app/as/it/is; }
             location /two/ { set $more \"from $remote_addr\"; proxy_pass http://${app}$request_uri; proxy_set_header X-More $more; }
             location ~ ^/three/(.*)$ { set $rest $1; proxy_pass http://$app/3/$rest; }",
        ),
    );
    for (path, seen) in [("/x?y", "/x?y"), ("/one/x?y", "/as/it/is"), ("/two/x?y", "/two/x?y"), ("/three/x", "/3/x")] {
        assert_eq!(bench.get(path).status, 200, "{path}");
        assert_eq!(bench.asked().path, seen, "{path}");
        let more = path.starts_with("/two").then_some("from 127.0.0.1");
        assert_eq!(bench.asked().header("x-more"), more, "{path}");
    }
    let file = bench.put(
        "wrong.conf",
        &server(
            "set host a; set $uri a; set $x $nothing; set $y;
             location / { proxy_pass http://$http_host; }
             location /r { set $was $uri; rewrite ^ /x break; proxy_pass http://APP; }",
        ),
    );
    let output = bench.called("nginx").args(["-t", "-c", &file]).run();
    assert_eq!(output.code, 1);
    for wanted in [
        "invalid variable name \"host\"",
        "the duplicate \"uri\" variable",
        "unknown \"nothing\" variable",
        "invalid number of arguments in \"set\"",
        "to a host that is another one for each request",
        "of what \"rewrite\" changes",
    ] {
        assert!(output.stderr.contains(wanted), "{wanted}: {}", output.stderr);
    }
}

#[test]
fn proxy_pass_changes_the_path_by_its_uri_rules() {
    let bench = Bench::new();
    let _running = bench.running(
        "nginx",
        &server(
            "location /same/ { proxy_pass http://APP; }
             location /cut/ { proxy_pass http://APP/; }
             location /to/ { proxy_pass http://APP/other/; }
             location /odd { proxy_pass http://APP/x; }
             location ~ ^/re/ { proxy_pass http://APP; }
             location /var { proxy_pass http://APP/v$is_args$args; }
             location /old/ { rewrite ^/old/(\\w+)/(.*)$ /same/$2?was=$1 last; return 404; }
             location /broken/ { rewrite ^/broken/(.*)$ /b/$1 break; proxy_pass http://APP; }",
        ),
    );
    for (path, seen) in [
        ("/same/a%20b?q=1", "/same/a%20b?q=1"),
        ("/same//x/../y", "/same//x/../y"),
        ("/cut/a%20b?q=1", "/a%20b?q=1"),
        ("/to/x", "/other/x"),
        ("/oddball", "/xball"),
        ("/re/x?y", "/re/x?y"),
        ("/var/x?a=b", "/v?a=b"),
        ("/old/n/z?k=v", "/same/z?was=n&k=v"),
        ("/broken/c d".replace(' ', "%20").as_str(), "/b/c%20d"),
    ] {
        assert_eq!(bench.get(path).status, 200, "{path}");
        assert_eq!(bench.asked().path, seen, "{path}");
    }
    assert_eq!(bench.get("/old/").status, 404);
    let slash = bench.get("/cut?a=b");
    assert_eq!(slash.status, 301);
    assert_eq!(slash.header("location"), Some(format!("http://{}/cut/?a=b", bench.at).as_str()));
}

#[test]
fn headers_variables_and_maps_mean_what_they_mean_in_nginx() {
    let bench = Bench::new();
    let config = "events {} http { access_log off;
        map $http_x_kind $kind { default other; ~^v(?<number>\\d)$ versioned; plain simple; }
        upstream backend { server APP weight=2; keepalive 8; }
        server { listen 127.0.0.1:OURPORT; add_header X-Outer yes always;
          location / { proxy_pass http://backend; proxy_set_header Host $host; proxy_set_header X-Kind $kind;
             proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
             proxy_set_header X-Url \"$scheme://$http_host$request_uri\"; proxy_set_header Accept \"\"; }
          location /plain { proxy_pass http://backend; }
          location /inner { add_header X-Inner $request_method; return 200 ok; }
          location /if { if ($arg_go = home) { return 302 /home; } return 204; } } }";
    let _running = bench.running("nginx", config);
    let answer = bench.get_with("/p?q", &[("X-Kind", "PLAIN"), ("X-Forwarded-For", "9.9.9.9"), ("Accept", "x")]);
    assert_eq!(answer.header("x-outer"), Some("yes"));
    let asked = bench.asked();
    for (name, value) in [
        ("host", Some("127.0.0.1")),
        ("x-kind", Some("simple")),
        ("x-real-ip", Some("127.0.0.1")),
        ("x-forwarded-for", Some("9.9.9.9, 127.0.0.1")),
        ("x-url", Some(format!("http://{}/p?q", bench.at).as_str())),
        ("accept", None),
    ] {
        assert_eq!(asked.header(name), value, "{name}");
    }
    bench.get("/plain");
    assert_eq!(bench.asked().header("host"), Some("backend"), "the host of proxy_pass, unless it is said");
    assert_eq!(bench.asked().header("x-forwarded-for"), None);
    let inner = bench.get("/inner");
    assert_eq!((inner.header("x-inner"), inner.header("x-outer")), (Some("GET"), None), "one level replaces the other");
    assert_eq!(bench.get("/if?go=home").status, 302);
    assert_eq!(bench.get("/if").status, 204);
}

#[test]
fn what_is_not_supported_is_refused_by_name_and_place_all_at_once() {
    let bench = Bench::new();
    let file = bench.put(
        "nginx.conf",
        "events {}\nhttp {\n server {\n  listen 80;\n  root /srv;\n  location / { proxy_pass http://a; proxy_cache x; }\n  location /x { fastcgi_pass y; }\n  nonsense on;\n }\n}\n",
    );
    let output = bench.called("nginx").args(["-t", "-c", &file]).run();
    assert_eq!(output.code, 1);
    for expected in [
        format!("nginx: [emerg] the directive \"root\" is not supported here: static files are not served in {file}:5"),
        format!("nginx: [emerg] the directive \"proxy_cache\" is not supported here: nothing is cached in {file}:6"),
        format!(
            "nginx: [emerg] the directive \"fastcgi_pass\" is not supported here: only HTTP is spoken to the app in {file}:7"
        ),
        format!("nginx: [emerg] unknown directive \"nonsense\" in {file}:8"),
        format!("nginx: configuration file {file} test failed"),
    ] {
        assert!(output.stderr.contains(&expected), "{expected}\nfound:\n{}", output.stderr);
    }
}

#[test]
fn test_dump_and_version_speak_as_nginx_does() {
    let bench = Bench::new();
    bench.put("parts/b.conf", "server { listen 127.0.0.1:OURPORT; return 200 b; }\n");
    let file = bench.put("nginx.conf", "events {}\nhttp { include parts/*.conf; }\n");
    let output = bench.called("nginx").args(["-t", "-c", &file]).run();
    let wanted = format!(
        "nginx: the configuration file {file} syntax is ok\nnginx: configuration file {file} test is successful\n"
    );
    assert_eq!((output.code, output.stderr.as_str()), (0, wanted.as_str()));
    let output = bench.called("nginx").args(["-T", "-q", "-c", &file]).run();
    assert!(output.stdout.starts_with(&format!("# configuration file {file}:\nevents")), "{}", output.stdout);
    assert!(output.stdout.contains("parts/b.conf:\nserver"), "{}", output.stdout);
    let output = bench.called("nginx").args(["-v"]).run();
    assert!(output.code == 0 && output.stderr.starts_with("nginx version: nginx/1."), "{}", output.stderr);
    assert!(bench.called("nginx").args(["-V"]).run().stderr.contains("--with-http_ssl_module"));
}

#[test]
fn s_reload_and_s_quit_find_the_process_that_runs() {
    let bench = Bench::new();
    let config = |body: &str| {
        format!("pid DIR/nginx.pid; events {{}} http {{ server {{ listen 127.0.0.1:OURPORT; return 200 {body}; }} }}")
    };
    let file = bench.put("nginx.conf", &config("old"));
    let sidecar = bench.called("nginx").args(["-c", &file, "-g", "daemon off;"]).spawn();
    sidecar.wait_ready();
    assert_eq!(bench.get("/").body, "old");
    bench.put("nginx.conf", &config("new"));
    assert_eq!(bench.called("nginx").args(["-c", &file, "-s", "reload"]).run().code, 0);
    assert!(eventually(std::time::Duration::from_secs(30), || bench.get("/").body == "new"));
    assert_eq!(bench.called("nginx").args(["-c", &file, "-s", "quit"]).run().code, 0);
    assert_eq!(sidecar.wait_exit(), 0);
    let gone = bench.called("nginx").args(["-c", &file, "-s", "stop"]).run();
    assert_eq!(gone.code, 1, "{}", gone.stderr);
}

#[test]
fn access_logs_are_in_the_formats_of_nginx() {
    let bench = Bench::new();
    let config = "events {} http {
        log_format mine '$remote_addr \"$request\" $status \"$http_x_a\" $upstream_status';
        log_format js escape=json '{\"uri\":\"$request_uri\",\"agent\":\"$http_x_a\"}';
        access_log /dev/stdout mine;
        server { listen 127.0.0.1:OURPORT; location / { proxy_pass http://APP; }
                 location /json { access_log /dev/stdout js; return 200 x; } location /quiet { access_log off; return 204; }
                 location /both { access_log /dev/stdout mine; access_log DIR/both.log js; return 204; } } }";
    let sidecar = bench.running("nginx", config);
    bench.get_with("/a?b", &[("X-A", "q\"u")]);
    bench.get("/quiet");
    bench.get_with("/json", &[("X-A", "q\"u")]);
    bench.get("/both");
    let wanted = "127.0.0.1 \"GET /a?b HTTP/1.1\" 200 \"q\\x22u\" 200\n{\"uri\":\"/json\",\"agent\":\"q\\\"u\"}\n\
                  127.0.0.1 \"GET /both HTTP/1.1\" 204 \"-\" -\n";
    let arrived = eventually(std::time::Duration::from_secs(30), || sidecar.stdout() == wanted);
    assert!(arrived, "{}", sidecar.stdout());
    let other = || std::fs::read_to_string(bench.dir.join("both.log")).is_ok_and(|text| text.contains("/both"));
    assert!(eventually(std::time::Duration::from_secs(30), other), "all logs of a block are written");
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
}

#[test]
fn networks_are_let_in_or_kept_out_and_the_status_page_counts() {
    let bench = Bench::new();
    let _running = bench.running(
        "nginx",
        &server(
            "set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;
             location / { allow 10.0.0.0/8; deny all; return 200 $remote_addr; }
             location /only { allow 10.0.0.0/8; deny all; proxy_pass http://APP; }
             location /status { stub_status; }",
        ),
    );
    // As in nginx, `return` is done before anybody is asked where he comes from.
    assert_eq!(bench.get_with("/", &[("X-Forwarded-For", "10.1.1.1")]).body, "10.1.1.1");
    assert_eq!(bench.get_with("/only", &[("X-Forwarded-For", "10.1.1.1")]).status, 200);
    assert_eq!(bench.get("/only").status, 403);
    assert!(bench.get("/status").body.starts_with("Active connections: 1 \nserver accepts handled requests\n"));
}
