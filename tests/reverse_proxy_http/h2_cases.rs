//! Requests of HTTP/2 that would mean something else once they are written as HTTP/1.

type Field = (&'static [u8], &'static [u8]);

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) fields: Vec<Field>,
    pub(crate) body: Option<&'static [u8]>,
    /// What the app gets (`METHOD HOST TARGET BODY`). None: refused.
    pub(crate) want: Option<&'static str>,
}

/// POST of `abc` with one field changed or added.
fn with(name: &'static str, field: Field, want: Option<&'static str>) -> Case {
    let mut fields: Vec<Field> = vec![
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", b"/"),
        (b":authority", b"a"),
        (b"content-length", b"3"),
    ];
    match fields.iter_mut().find(|(known, _)| *known == field.0) {
        Some(known) => *known = field,
        None => fields.push(field),
    }
    Case { name, fields, body: Some(b"abc"), want }
}

fn free(name: &'static str, fields: &[Field], body: Option<&'static [u8]>, want: Option<&'static str>) -> Case {
    Case { name, fields: fields.to_vec(), body, want }
}

pub(crate) fn all() -> Vec<Case> {
    let plain = Some("POST a / abc");
    let (method, scheme, path): (Field, Field, Field) =
        ((b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/"));
    let (authority, hidden): (Field, &'static [u8]) =
        ((b":authority", b"a"), b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    vec![
        with("h2 plain", (b"x-a", b"b"), plain),
        free("h2 without content-length", &[method, scheme, path, authority], Some(b"abc"), plain),
        with("h2 path with a blank", (b":path", b"/ HTTP/1.1"), None),
        with("h2 path with CRLF", (b":path", b"/ HTTP/1.1\r\nHost: b\r\n\r\nGET /smuggled"), None),
        with("h2 path with LF", (b":path", b"/\nX: y"), None),
        with("h2 path with NUL", (b":path", b"/\0"), None),
        with("h2 path with a tab", (b":path", b"/\ta"), None),
        // The fragment is gone before anybody decides by the path.
        with("h2 path with a fragment", (b":path", b"/a#b"), Some("POST a /a abc")),
        with("h2 path empty", (b":path", b""), None),
        with("h2 path without a slash", (b":path", b"a"), None),
        with("h2 path absolute", (b":path", b"http://evil/"), None),
        with("h2 path *", (b":path", b"*"), None),
        with("h2 path with two slashes", (b":path", b"//b/c"), Some("POST a //b/c abc")),
        with("h2 method with a blank", (b":method", b"GET /smuggled HTTP/1.1\r\nX:"), None),
        with("h2 method empty", (b":method", b""), None),
        with("h2 method with a colon", (b":method", b"GE:T"), None),
        with("h2 authority with CRLF", (b":authority", b"a\r\nX: y"), None),
        with("h2 authority with a path", (b":authority", b"a/b"), None),
        with("h2 authority with a user", (b":authority", b"u@a"), None),
        with("h2 authority with a blank", (b":authority", b"a b"), None),
        with("h2 authority empty", (b":authority", b""), None),
        with("h2 authority a,b", (b":authority", b"a,b"), None),
        free("h2 neither authority nor host", &[method, scheme, path], Some(b"abc"), None),
        free("h2 host alone", &[method, scheme, path, (b"host", b"a")], Some(b"abc"), plain),
        with("h2 host as well, equal", (b"host", b"a"), plain),
        with("h2 host as well, different", (b"host", b"b"), None),
        free("h2 two hosts", &[method, scheme, path, (b"host", b"a"), (b"host", b"b")], Some(b"abc"), None),
        with("h2 scheme with CRLF", (b":scheme", b"http\r\nX: y"), None),
        with("h2 scheme as an address", (b":scheme", b"http://evil/?"), None),
        free("h2 no scheme", &[method, path, authority], Some(b"abc"), None),
        with("h2 value with CRLF", (b"x-a", b"b\r\nTransfer-Encoding: chunked"), None),
        with("h2 value with LF", (b"x-a", b"b\nTransfer-Encoding: chunked"), None),
        with("h2 value with CR", (b"x-a", b"b\rc"), None),
        with("h2 value with NUL", (b"x-a", b"b\0c"), None),
        with("h2 name with CRLF", (b"x-a: b\r\ntransfer-encoding", b"chunked"), None),
        with("h2 name with a colon", (b"x-a: b", b"c"), None),
        with("h2 name with a blank", (b"content-length ", b"3"), None),
        with("h2 name in upper case", (b"X-A", b"b"), None),
        with("h2 name empty", (b"", b"b"), None),
        free(
            "h2 transfer-encoding",
            &[method, scheme, path, authority, (b"transfer-encoding", b"chunked")],
            Some(hidden),
            None,
        ),
        free(
            "h2 content-length and transfer-encoding",
            &[method, scheme, path, authority, (b"content-length", b"44"), (b"transfer-encoding", b"chunked")],
            Some(hidden),
            None,
        ),
        with("h2 connection", (b"connection", b"close"), None),
        with("h2 keep-alive", (b"keep-alive", b"5"), None),
        with("h2 proxy-connection", (b"proxy-connection", b"close"), None),
        with("h2 upgrade", (b"upgrade", b"websocket"), None),
        with("h2 te: gzip", (b"te", b"gzip"), None),
        with("h2 te: trailers", (b"te", b"trailers"), plain),
        with("h2 content-length too long", (b"content-length", b"4"), None),
        with("h2 content-length too short", (b"content-length", b"2"), None),
        with("h2 content-length +3", (b"content-length", b"+3"), None),
        with("h2 content-length 3, 3", (b"content-length", b"3, 3"), None),
        with("h2 content-length as a word", (b"content-length", b"three"), None),
        free(
            "h2 content-length twice",
            &[method, scheme, path, authority, (b"content-length", b"3"), (b"content-length", b"0")],
            Some(b"abc"),
            None,
        ),
        free(
            "h2 content-length and no data",
            &[method, scheme, path, authority, (b"content-length", b"3")],
            None,
            None,
        ),
        free("h2 path twice", &[method, scheme, path, authority, (b":path", b"/smuggled")], Some(b"abc"), None),
        free("h2 a pseudo-field last", &[method, scheme, authority, (b"x-a", b"b"), path], Some(b"abc"), None),
        with("h2 an unknown pseudo-field", (b":evil", b"b"), None),
        with("h2 :status in a request", (b":status", b"200"), None),
        free(
            "h2 CONNECT",
            &[(b":method", b"CONNECT"), (b":authority", b"b:443")],
            Some(b"GET /smuggled HTTP/1.1\r\n\r\n"),
            None,
        ),
        with("h2 expects something else", (b"expect", b"200-ok"), None),
        free(
            "h2 cookies in pieces",
            &[method, scheme, path, authority, (b"cookie", b"a=1"), (b"cookie", b"b=2")],
            Some(b"abc"),
            plain,
        ),
    ]
}
