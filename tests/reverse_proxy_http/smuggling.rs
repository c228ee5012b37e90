//! What two parsers may read differently is refused, or rewritten so that the app cannot.

use std::{fmt::Write as _, sync::atomic::Ordering};

use test_kit::{PATIENCE, Sidecar, eventually};

use crate::{
    app::App,
    caller::Caller,
    cases::{self, Case, Want},
    frames::{Http2, Outcome, usual},
    h2_cases, port, proxy, with,
};

#[test]
fn every_ambiguous_request_has_one_answer_and_the_app_never_sees_two_meanings() {
    let app = App::echo();
    let sidecar = proxy(&app);
    let mut wrong = String::new();
    for case in cases::all() {
        if let Err(problem) = check(&sidecar, &app, &case) {
            let _ = writeln!(wrong, "{}: {problem}", case.name);
        }
        app.forget();
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn check(sidecar: &Sidecar, app: &App, case: &Case) -> Result<(), String> {
    let port = port(sidecar);
    let mut caller = Caller::new(port);
    caller.send(&case.bytes);
    let (expected, status, ends): (&[&str], u16, bool) = match case.want {
        Want::Refused(status) | Want::CutShort(status) => (&[], status, true),
        Want::Passed(expected) => (expected, 200, false),
        Want::Last(expected) => (expected, 200, true),
    };
    for told in expected.iter().take(expected.len()).chain(expected.is_empty().then_some(&"")) {
        let answer = caller.answer(told.starts_with("HEAD ")).map_err(|error| format!("no answer: {error}"))?;
        if answer.status != status {
            return Err(format!("{} instead of {status}, the app got {:?}", answer.status, app.told()));
        }
    }
    if case.name == "the preface of HTTP/2 later" {
        let _ = caller.answer(false);
    }
    if ends {
        if !caller.is_closed() {
            return Err("the connection stays open".to_owned());
        }
    } else {
        // Whatever was left over would be answered first.
        let last = caller.get("/last").map_err(|error| format!("nothing more is answered: {error}"))?;
        if last.body != b"GET /last" {
            return Err(format!("the next request is answered with {last:?}"));
        }
    }
    // Kept connections to the app are used again: what is left in one of them would answer this.
    let after = Caller::new(port).get("/after").map_err(|error| format!("nothing works afterwards: {error}"))?;
    if after.body != b"GET /after" {
        return Err(format!("the next client is answered with {after:?}"));
    }
    let mut told = app.told();
    told.retain(|told| told != "GET a /last" && told != "GET a /after");
    if told != expected || !app.problems().is_empty() {
        return Err(format!("the app got {told:?} {:?}", app.problems()));
    }
    if let Want::CutShort(_) = case.want {
        let closed = || app.open.load(Ordering::SeqCst) <= 1;
        if !eventually(PATIENCE, closed) {
            return Err("the broken connection to the app stays open".to_owned());
        }
    }
    Ok(())
}

#[test]
fn what_http2_can_say_and_http1_cannot_is_refused() {
    let app = App::echo();
    let sidecar = proxy(&app);
    let mut wrong = String::new();
    for case in h2_cases::all() {
        let mut client = Http2::new(port(&sidecar));
        let sent = client.request(1, &case.fields, case.body);
        let outcome = if sent.is_ok() { client.outcome(1) } else { Outcome::Closed };
        let is_fine = match case.want {
            None => outcome.is_refusal(),
            Some(_) => matches!(outcome, Outcome::Answer(200, _)),
        };
        let told = app.told();
        if !is_fine || told != Vec::from_iter(case.want) || !app.problems().is_empty() {
            let _ = writeln!(wrong, "{}: {outcome:?}, the app got {told:?} {:?}", case.name, app.problems());
        }
        // The connections to the app carry nothing over.
        let after = Caller::new(port(&sidecar)).get("/after").map(|answer| answer.body);
        if !after.as_ref().is_ok_and(|body| body == b"GET /after") {
            let _ = writeln!(wrong, "{}: the next client is answered with {after:?}", case.name);
        }
        app.forget();
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn pieces_of_a_cookie_are_one_field_for_the_app() {
    let app = App::echo();
    let sidecar = proxy(&app);
    let mut client = Http2::new(port(&sidecar));
    let fields = [&usual(b"GET", b"/")[..], &[(b"cookie", b"a=1"), (b"cookie", b"b=2")]].concat();
    client.request(1, &fields, None).unwrap();
    assert!(matches!(client.outcome(1), Outcome::Answer(200, _)));
    assert_eq!(app.got.lock().unwrap()[0].field("cookie"), Some("a=1; b=2"));
}

#[test]
fn fields_with_underscores_do_not_pass_for_others() {
    let app = App::echo();
    let ask = |more: &str| {
        let place = app.place();
        let sidecar = with(&format!("listeners: [{{listen: \"127.0.0.1:0\"{more}, routes: [{{to: \"{place}\"}}]}}]\n"));
        let mut caller = Caller::new(port(&sidecar));
        caller.send(b"GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 6.6.6.6\r\nContent_Length: 9\r\n\r\n");
        let status = caller.answer(false).unwrap().status;
        (status, app.got.lock().unwrap().pop().is_some_and(|got| got.head.contains('_')))
    };
    assert_eq!(ask(""), (200, false), "an app of WSGI would take it for X-Forwarded-For");
    assert_eq!(ask(", underscores: pass"), (200, true));
    assert_eq!(ask(", underscores: refuse"), (400, false));
}
