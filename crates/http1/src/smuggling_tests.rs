//! The corpus of what one reader takes for one request and another for two: each has a decided answer.

use crate::*;

fn status(text: &str) -> u16 {
    bytes_status(text.as_bytes())
}

/// 200: accepted; 0: not complete.
fn bytes_status(bytes: &[u8]) -> u16 {
    let end = match Scan::default().find(bytes, &Limits::default()) {
        Ok(None) => return 0,
        Ok(Some(end)) => end,
        Err(error) => return error.status(),
    };
    match parse_request(&bytes[..end], &mut RequestHead::default()) {
        Ok(()) => 200,
        Err(error) => error.status(),
    }
}

fn parsed(text: &str) -> RequestHead {
    let mut head = RequestHead::default();
    parse_request(text.as_bytes(), &mut head).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    head
}

fn answer(text: &str, asked: &Method) -> Result<ResponseHead, Error> {
    let mut head = ResponseHead::default();
    let end = Scan::default().find_response(text.as_bytes(), &Limits::default())?.ok_or(Error::Truncated)?;
    parse_response(&text.as_bytes()[..end], asked, &mut head)?;
    Ok(head)
}

#[test]
fn two_framings_are_never_reconciled() {
    for (fields, expected) in [
        ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", 400),
        ("Content-Length: 3\r\nContent-Length: 3\r\n", 400),
        ("Content-Length: 3\r\nContent-Length: 4\r\n", 400),
        ("Content-Length: 3, 3\r\n", 400),
        ("Content-Length: +3\r\n", 400),
        ("Content-Length: -3\r\n", 400),
        ("Content-Length: 0x3\r\n", 400),
        ("Content-Length: 3 \r\n", 200),
        ("Content-Length: 3 3\r\n", 400),
        ("Content-Length: 1_0\r\n", 400),
        ("Content-Length:\r\n", 400),
        ("Content-Length: 18446744073709551619\r\n", 400),
        ("Content-Length: 18446744073709551615\r\n", 200),
        ("Content-Length : 3\r\n", 400),
        ("Content-Length\t: 3\r\n", 400),
        ("Content-Length: 3\r\n 4\r\n", 400),
        ("Content_Length: 3\r\n", 200),
        ("Transfer-Encoding: chunked\r\n", 200),
        ("transfer-encoding:ChUnKeD\r\n", 200),
        ("Transfer-Encoding: \tchunked \t\r\n", 200),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 400),
        ("Transfer-Encoding: chunked, chunked\r\n", 400),
        ("Transfer-Encoding: chunked, identity\r\n", 400),
        ("Transfer-Encoding: gzip, chunked\r\n", 501),
        ("Transfer-Encoding: identity\r\n", 501),
        ("Transfer-Encoding: xchunked\r\n", 501),
        ("Transfer-Encoding: chunked;q=1\r\n", 501),
        ("Transfer-Encoding: \"chunked\"\r\n", 501),
        ("Transfer-Encoding:\r\n", 400),
        ("Transfer-Encoding: ,chunked\r\n", 400),
        ("Transfer-Encoding:\u{b}chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\n foo\r\n", 400),
        ("Transfer-Encoding\r\n : chunked\r\n", 400),
        (" Transfer-Encoding: chunked\r\n", 400),
        ("Foo: bar\r\n\tTransfer-Encoding: chunked\r\n", 400),
        ("Foo\r\n", 400),
        (": bar\r\n", 400),
        ("F\u{e4}: bar\r\n", 400),
        ("Foo: b\0r\r\n", 400),
        ("Foo: b\rr\r\n", 400),
        ("Foo: b\u{7f}r\r\n", 400),
        ("Foo: b\u{e4}r\r\n", 200),
        ("Foo: bar\n", 400),
    ] {
        assert_eq!(status(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")), expected, "{fields:?}");
        let first = format!("POST / HTTP/1.1\r\n{fields}Host: a\r\n\r\n");
        assert_eq!(status(&first), expected, "{first:?}");
    }
    assert_eq!(status("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
    assert_eq!(status("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\n"), 200);
    for method in ["CONNECT a:1", "TRACE /"] {
        assert_eq!(status(&format!("{method} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")), 400);
        assert_eq!(status(&format!("{method} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")), 400);
        assert_eq!(status(&format!("{method} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")), 200);
    }
}

#[test]
fn a_host_is_one_and_is_one() {
    for (fields, expected) in [
        ("Host: a\r\n", 200),
        ("", 400),
        ("Host:\r\n", 400),
        ("Host: a\r\nHost: b\r\n", 400),
        ("Host: a\r\nHost: a\r\n", 400),
        ("Host: a,b\r\n", 400),
        ("Host: a b\r\n", 400),
        ("Host: a/b\r\n", 400),
        ("Host: u@a\r\n", 400),
        ("Host: a:99999\r\n", 400),
        ("Host: [::1]:80\r\n", 200),
        ("Host: http://a\r\n", 400),
    ] {
        assert_eq!(status(&format!("GET / HTTP/1.1\r\n{fields}\r\n")), expected, "{fields:?}");
    }
    assert_eq!(status("GET / HTTP/1.0\r\n\r\n"), 200);
    assert_eq!(status("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
}

#[test]
fn the_first_line_has_two_spaces_and_a_target() {
    for (line, expected) in [
        ("GET / HTTP/1.1\r\n", 200),
        ("\r\nGET / HTTP/1.1\r\n", 200),
        ("\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n", 400),
        ("\nGET / HTTP/1.1\r\n", 400),
        ("GET  / HTTP/1.1\r\n", 400),
        ("GET /  HTTP/1.1\r\n", 400),
        ("GET\t/ HTTP/1.1\r\n", 400),
        (" GET / HTTP/1.1\r\n", 400),
        ("GET / HTTP/1.1 \r\n", 400),
        ("GET / http/1.1\r\n", 400),
        ("GET / HTTP/1.2\r\n", 505),
        ("GET / HTTP/2.0\r\n", 505),
        ("GET /\r\n", 400),
        ("GET HTTP/1.1\r\n", 400),
        ("G(T / HTTP/1.1\r\n", 400),
        ("BREW /pot HTTP/1.1\r\n", 200),
        ("GET /a#b HTTP/1.1\r\n", 400),
        ("GET /\u{e4} HTTP/1.1\r\n", 400),
        ("GET /\u{1} HTTP/1.1\r\n", 400),
        ("GET /\u{7f} HTTP/1.1\r\n", 400),
        ("GET a HTTP/1.1\r\n", 400),
        ("GET ?a HTTP/1.1\r\n", 400),
        ("GET * HTTP/1.1\r\n", 400),
        ("OPTIONS * HTTP/1.1\r\n", 200),
        ("GET //b/c HTTP/1.1\r\n", 200),
        ("GET /{a|b} HTTP/1.1\r\n", 200),
        ("GET http://b HTTP/1.1\r\n", 200),
        ("GET http://u@b/ HTTP/1.1\r\n", 400),
        ("GET http:///c HTTP/1.1\r\n", 400),
        ("GET ftp://b/ HTTP/1.1\r\n", 400),
        ("GET http://b\\c/ HTTP/1.1\r\n", 400),
        ("CONNECT b:443 HTTP/1.1\r\n", 200),
        ("CONNECT b HTTP/1.1\r\n", 400),
        ("CONNECT b: HTTP/1.1\r\n", 400),
        ("CONNECT /b HTTP/1.1\r\n", 400),
        ("CONNECT http://b:1/ HTTP/1.1\r\n", 400),
    ] {
        assert_eq!(status(&format!("{line}Host: a\r\n\r\n")), expected, "{line:?}");
    }
    let foreign = parse_request(b"INVALID CONNECTION PREFACE\r\n\r\n", &mut RequestHead::default());
    assert_eq!(foreign, Err(Error::Foreign));
    assert_eq!(bytes_status(b"GET / HTTP/1.1\r\nHost: a\r\nX: \xff\xfe\r\n\r\n"), 200);
    assert_eq!(bytes_status(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
    assert_eq!(bytes_status(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"), 400);
}

#[test]
fn heads_have_limits() {
    let long = "a".repeat(70_000);
    assert_eq!(status(&format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n")), 414);
    assert_eq!(status(&format!("GET /{long}")), 414);
    assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n")), 431);
    assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}")), 431);
    assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(99))), 200);
    assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(100))), 431);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\n"), 0);
}

#[test]
fn heads_are_found_however_they_are_cut() {
    let text = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
    for cut in 1..text.len() {
        let mut scan = Scan::default();
        let mut found = None;
        for end in (0..text.len()).step_by(cut).chain([text.len()]) {
            found = found.or(scan.find(&text[..end], &Limits::default()).unwrap());
        }
        assert_eq!(found, Some(text.len() - 4), "{cut}");
    }
}

#[test]
fn the_authority_of_the_target_wins() {
    let head = parsed("GET http://Evil:8080?x HTTP/1.1\r\nA: 1\r\nHost: a\r\nB: 2\r\n\r\n");
    assert_eq!((head.host(), head.target(), head.form), ("Evil:8080", "/?x", Form::Absolute { https: false }));
    let names: Vec<_> = head.headers.iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, ["A", "Host", "B"]);
    assert_eq!(parsed("OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n").target(), "*");
    assert_eq!(parsed("CONNECT b:443 HTTP/1.1\r\nHost: a\r\n\r\n").host(), "b:443");
}

#[test]
fn connection_takes_away_what_it_names_and_no_more() {
    let mut head = parsed(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Mine , host, X-Forwarded-For, content-length,te\r\nX-Mine: 1\r\n\
         TE: trailers\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nX-Forwarded-For: 1.2.3.4\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\n",
    );
    assert!(!head.persistent && head.accepts_trailers && !head.upgrade);
    head.strip_hop_by_hop();
    let names: Vec<_> = head.headers.iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, ["Host", "X-Forwarded-For", "Content-Length"]);
    let mut out = Vec::new();
    write_request(&head, &mut out);
    let text = String::from_utf8(out).unwrap();
    let expected =
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\nContent-Length: 1\r\nConnection: close\r\n\r\n";
    assert_eq!(text, expected);
}

#[test]
fn upgrades_are_asked_for_twice_and_never_for_h2c() {
    let upgrade = |fields: &str| parsed(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).upgrade;
    assert!(upgrade("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"));
    assert!(!upgrade("Connection: Upgrade\r\n"));
    assert!(!upgrade("Upgrade: websocket\r\n"));
    assert!(!upgrade("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"));
    assert!(!parsed("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").upgrade);
}

#[test]
fn expectations() {
    let expect = |text: &str| format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: {text}\r\n\r\n");
    assert!(parsed(&expect("100-Continue")).expects_continue);
    assert_eq!(status(&expect("the unexpected")), 417);
    assert!(!parsed("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n").expects_continue);
}

#[test]
fn responses_end_where_the_rules_say() {
    let of = |status: &str, fields: &str, asked: Method| {
        answer(&format!("HTTP/1.1 {status}\r\n{fields}\r\n"), &asked)
            .map(|head| (head.body, head.announced, head.persistent))
    };
    assert_eq!(of("200 OK", "Content-Length: 3\r\n", Method::Get), Ok((Body::Length(3), None, true)));
    assert_eq!(of("200", "", Method::Get), Ok((Body::UntilClose, None, true)));
    assert_eq!(of("200 OK", "Transfer-Encoding: chunked\r\n", Method::Get), Ok((Body::Chunked, None, true)));
    assert_eq!(of("200 OK", "Content-Length: 3\r\n", Method::Head), Ok((Body::None, Some(3), true)));
    assert_eq!(of("304 x", "Content-Length: 3\r\n", Method::Get), Ok((Body::None, Some(3), true)));
    assert_eq!(of("204 x", "Content-Length: 3\r\n", Method::Get), Ok((Body::None, None, false)));
    assert_eq!(of("204 x", "Content-Length: 0\r\n", Method::Get), Ok((Body::None, None, true)));
    assert_eq!(of("100 x", "Transfer-Encoding: chunked\r\n", Method::Get), Ok((Body::None, None, false)));
    assert_eq!(of("200 x", "Content-Length: 3\r\n", Method::Connect), Ok((Body::None, None, true)));
    assert_eq!(of("200 x", "Content-Length: 3\r\nContent-Length: 3\r\n", Method::Get), Err(Error::ContentLength));
    let both = of("200 x", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", Method::Get);
    assert_eq!(both, Err(Error::TwoFramings));
    assert!(of("200 x", "Transfer-Encoding: gzip, chunked\r\n", Method::Get).is_err());
    assert!(of("99 x", "", Method::Get).is_err() && of("200 x", " a: b\r\n", Method::Get).is_err());
    assert!(of("200 x", "A : b\r\n", Method::Get).is_err());
    assert!(!answer("HTTP/1.0 200 OK\r\n\r\n", &Method::Get).unwrap().persistent);
    let script = answer("HTTP/1.1 200 OK\nContent-Length: 3\nX: y\n\nabc", &Method::Get).unwrap();
    assert_eq!((script.body, script.headers.get("x")), (Body::Length(3), Some(&b"y"[..])));
    let mixed = answer("HTTP/1.1 200 OK\r\nX: y\n\r\nabc", &Method::Get).unwrap();
    assert_eq!((mixed.body, mixed.headers.len()), (Body::UntilClose, 1));
    let timeout = answer("HTTP/1.1 200 OK\r\nKeep-Alive: max=9, Timeout=5\r\n\r\n", &Method::Get).unwrap();
    assert_eq!(timeout.keep_alive_timeout, Some(5));
}

#[test]
fn chunks() {
    let decode = |text: &str| {
        let (mut decoder, mut data, mut at) = (Decoder::new(Body::Chunked), String::new(), 0);
        loop {
            let (used, next) = decoder.next(&text.as_bytes()[at..])?;
            at += used;
            match next {
                Next::End => return Ok((data, text[at..].to_owned())),
                Next::Data(most) if at < text.len() => {
                    let take = (most as usize).min(text.len() - at);
                    data.push_str(&text[at..at + take]);
                    decoder.took(take as u64);
                    at += take;
                }
                _ => return decoder.ended().map(|()| (data, String::new())),
            }
        }
    };
    let fine = |data: &str, rest: &str| Ok((data.to_owned(), rest.to_owned()));
    for (text, expected) in [
        ("3\r\nabc\r\n0\r\n\r\nGET", fine("abc", "GET")),
        ("003\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", fine("abc0123456789", "")),
        ("3;a=b;c\r\nabc\r\n0\r\n\r\n", fine("abc", "")),
        ("3 ;a=\"b\"\r\nabc\r\n0;x\r\n\r\n", fine("abc", "")),
        ("3\r\nabc\r\n0\r\nX: y\r\nContent-Length: 9\r\n\r\n", fine("abc", "")),
        ("3;a=b\nabc\r\n0\r\n\r\n", Err(Error::BareLf)),
        ("3\nabc\n0\n\n", Err(Error::BareLf)),
        ("3;a\rb\r\nabc\r\n0\r\n\r\n", Err(Error::ChunkSize)),
        ("3 \r\nabc\r\n0\r\n\r\n", Err(Error::ChunkSize)),
        (" 3\r\nabc\r\n0\r\n\r\n", Err(Error::ChunkSize)),
        ("+3\r\nabc\r\n0\r\n\r\n", Err(Error::ChunkSize)),
        ("0x3\r\nabc\r\n0\r\n\r\n", Err(Error::ChunkSize)),
        ("-3\r\nabc\r\n0\r\n\r\n", Err(Error::ChunkSize)),
        ("\r\nabc\r\n0\r\n\r\n", Err(Error::ChunkSize)),
        ("3 3\r\nabc\r\n0\r\n\r\n", Err(Error::ChunkSize)),
        ("10000000000000003\r\nabc\r\n0\r\n\r\n", Err(Error::ChunkSize)),
        ("3\r\nabcd\r\n0\r\n\r\n", Err(Error::ChunkEnd)),
        ("3\r\nabc\n0\r\n\r\n", Err(Error::ChunkEnd)),
        ("3\r\nabc0\r\n\r\n", Err(Error::ChunkEnd)),
        ("0\r\nX y\r\n\r\n", Err(Error::Trailer)),
        ("0\r\n X: y\r\n\r\n", Err(Error::Trailer)),
        ("0\r\nX: y\n\r\n", Err(Error::BareLf)),
        ("0\r\n", Err(Error::Truncated)),
        ("3\r\nab", Err(Error::Truncated)),
    ] {
        assert_eq!(decode(text), expected, "{text:?}");
    }
    let extension = format!("1;{}\r\na\r\n", "x".repeat(1000)).repeat(17);
    assert_eq!(decode(&extension), Err(Error::ChunkExtension));
    assert_eq!(decode(&format!("1;{}", "x".repeat(2000))), Err(Error::ChunkSize));
    assert_eq!(decode(&format!("0\r\n{}\r\n", "X: y\r\n".repeat(65))), Err(Error::Trailer));
}

#[test]
fn trailers_carry_no_power() {
    let mut decoder = Decoder::new(Body::Chunked);
    let text = b"0\r\nX-Sum: 1\r\nHost: b\r\nTransfer-Encoding: x\r\nAuthorization: y\r\nSet-Cookie: z\r\nGrpc-Status: 0\r\n\r\n";
    assert_eq!(decoder.next(text), Ok((text.len(), Next::End)));
    let names: Vec<_> = decoder.trailers().unwrap().iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, ["X-Sum", "Grpc-Status"]);
}
