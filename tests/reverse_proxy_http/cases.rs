//! Requests that two parsers may read differently, each with the decided answer. `reverse_proxy_servers` sends the same
//! bytes to other proxies.

/// What must become of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Want {
    /// This answer and the end of the connection; the app gets nothing.
    Refused(u16),
    /// This answer and the end of both connections: the app got a beginning at most, and never a whole request.
    CutShort(u16),
    /// The app gets these (`METHOD HOST TARGET BODY`), each is answered, and the connection goes on.
    Passed(&'static [&'static str]),
    /// The same, and the connection ends.
    Last(&'static [&'static str]),
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) want: Want,
}

use Want::{CutShort, Last, Passed, Refused};

const HIDDEN: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
const PLAIN: Want = Passed(&["POST a / abc"]);

fn case(name: &'static str, bytes: impl Into<Vec<u8>>, want: Want) -> Case {
    Case { name, bytes: bytes.into(), want }
}

pub(crate) fn all() -> Vec<Case> {
    let mut cases = lengths();
    cases.extend(codings());
    cases.extend(fields());
    cases.extend(chunks());
    cases.extend(targets());
    cases.extend(hosts());
    cases.extend(connections());
    cases
}

/// A POST of `abc` with these fields.
fn post(name: &'static str, fields: &str, want: Want) -> Case {
    case(name, format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\nabc"), want)
}

/// A chunked POST that hides a request behind its end.
fn chunked(name: &'static str, fields: &str, want: Want) -> Case {
    case(name, format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n0\r\n\r\n{HIDDEN}"), want)
}

fn lengths() -> Vec<Case> {
    let no = Refused(400);
    vec![
        post("Content-Length", "Content-Length: 3\r\n", PLAIN),
        post("Content-Length with blanks", "Content-Length: \t3 \r\n", PLAIN),
        post("Content-Length 003", "Content-Length: 003\r\n", PLAIN),
        post("Content-Length twice, equal", "Content-Length: 3\r\nContent-Length: 3\r\n", no),
        post("Content-Length twice, different", "Content-Length: 3\r\nContent-Length: 0\r\n", no),
        post("Content-Length 3, 3", "Content-Length: 3, 3\r\n", no),
        post("Content-Length 3, 4", "Content-Length: 3, 4\r\n", no),
        post("Content-Length +3", "Content-Length: +3\r\n", no),
        post("Content-Length -3", "Content-Length: -3\r\n", no),
        post("Content-Length 0x3", "Content-Length: 0x3\r\n", no),
        post("Content-Length 3 3", "Content-Length: 3 3\r\n", no),
        post("Content-Length 3;", "Content-Length: 3;\r\n", no),
        post("Content-Length 1_0", "Content-Length: 1_0\r\n", no),
        post("Content-Length 3.0", "Content-Length: 3.0\r\n", no),
        post("Content-Length empty", "Content-Length:\r\n", no),
        post("Content-Length 2^64+3", "Content-Length: 18446744073709551619\r\n", no),
        post("Content-Length, blank before the colon", "Content-Length : 3\r\n", no),
        post("Content-Length, tab before the colon", "Content-Length\t: 3\r\n", no),
        post("Content-Length, NUL after", "Content-Length: 3\0\r\n", no),
        post("Content-Length folded", "Content-Length:\r\n 3\r\n", no),
        case("GET with a body", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", Passed(&["GET a / abc"])),
        case("TRACE with a body", "TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", no),
        case(
            "Content-Length in HTTP/1.0",
            "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            Last(&["POST a / abc"]),
        ),
    ]
}

fn codings() -> Vec<Case> {
    let (no, unknown) = (Refused(400), Refused(501));
    let hidden = Passed(&["POST a /", "GET a /smuggled"]);
    vec![
        chunked("chunked and what follows", "Transfer-Encoding: chunked\r\n", hidden),
        chunked("CHUNKED", "transfer-encoding:CHUNKED\r\n", hidden),
        chunked("chunked with tabs", "Transfer-Encoding: \tchunked\t\r\n", hidden),
        chunked("CL, TE", "Content-Length: 44\r\nTransfer-Encoding: chunked\r\n", no),
        chunked("TE, CL", "Transfer-Encoding: chunked\r\nContent-Length: 44\r\n", no),
        chunked("TE, CL 0", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", no),
        chunked("CL, TE unknown", "Content-Length: 44\r\nTransfer-Encoding: xchunked\r\n", unknown),
        chunked("CL, TE spelled with a tab in front", "Content-Length: 44\r\n\tTransfer-Encoding: chunked\r\n", no),
        chunked("CL, TE with a blank before the colon", "Content-Length: 44\r\nTransfer-Encoding : chunked\r\n", no),
        chunked("TE twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", no),
        chunked("TE chunked, TE cow", "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n", no),
        chunked("TE cow, TE chunked", "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n", no),
        chunked("TE chunked, identity", "Transfer-Encoding: chunked, identity\r\n", no),
        chunked("TE chunked, chunked", "Transfer-Encoding: chunked, chunked\r\n", no),
        chunked("TE gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n", unknown),
        chunked("TE identity", "Transfer-Encoding: identity\r\n", unknown),
        chunked("TE xchunked", "Transfer-Encoding: xchunked\r\n", unknown),
        chunked("TE chunkedx", "Transfer-Encoding: chunkedx\r\n", unknown),
        chunked("TE chunked;q=1", "Transfer-Encoding: chunked;q=1\r\n", unknown),
        chunked("TE \"chunked\"", "Transfer-Encoding: \"chunked\"\r\n", unknown),
        chunked("TE empty", "Transfer-Encoding:\r\n", no),
        chunked("TE ,chunked", "Transfer-Encoding: ,chunked\r\n", no),
        chunked("TE VT chunked", "Transfer-Encoding:\u{b}chunked\r\n", no),
        chunked("TE FF chunked", "Transfer-Encoding: \u{c}chunked\r\n", no),
        chunked("TE chunked NUL", "Transfer-Encoding: chunked\0\r\n", no),
        chunked("TE folded", "Transfer-Encoding:\r\n chunked\r\n", no),
        chunked("TE chunked, folded more", "Transfer-Encoding: chunked\r\n , identity\r\n", no),
        chunked("TE in a bare-LF line", "X: y\nTransfer-Encoding: chunked\r\n", no),
        chunked("TE behind a bare CR", "X: y\rTransfer-Encoding: chunked\r\n", no),
        case(
            "TE in HTTP/1.0",
            format!("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}"),
            no,
        ),
    ]
}

fn fields() -> Vec<Case> {
    let no = Refused(400);
    let get =
        |name, fields: &[u8], want| case(name, [b"GET / HTTP/1.1\r\nHost: a\r\n", fields, b"\r\n"].concat(), want);
    let fine = Passed(&["GET a /"]);
    vec![
        get("bare LF after a field", b"X: y\n", no),
        case("bare LF everywhere", "GET / HTTP/1.1\nHost: a\n\n", no),
        case("bare LF after the first line", "GET / HTTP/1.1\nHost: a\r\n\r\n", no),
        case("LF CR LF at the end", "GET / HTTP/1.1\r\nHost: a\n\r\n", no),
        case("bare LF ends the head", "GET / HTTP/1.1\r\nHost: a\r\n\n", no),
        get("bare CR in a value", b"X: a\rb\r\n", no),
        get("CR CR LF", b"X: a\r\r\n", no),
        get("NUL in a value", b"X: a\0b\r\n", no),
        get("NUL in a name", b"X\0Y: a\r\n", no),
        get("DEL in a value", b"X: a\x7fb\r\n", no),
        get("ESC in a value", b"X: a\x1bb\r\n", no),
        get("bytes beyond ASCII in a value", b"X: \xe4\xff\r\n", fine),
        get("bytes beyond ASCII in a name", b"\xe4: b\r\n", no),
        get("obs-fold, blank", b"X: a\r\n b\r\n", no),
        get("obs-fold, tab", b"X: a\r\n\tb\r\n", no),
        case("a first field that begins with a blank", "GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n", no),
        get("no colon", b"X\r\n", no),
        get("no name", b": y\r\n", no),
        get("blank in a name", b"X Y: a\r\n", no),
        get("blank before the colon", b"X : a\r\n", no),
        get("parenthesis in a name", b"X(Y): a\r\n", no),
        get("no value", b"X:\r\n", fine),
        get("colons in a value", b"X: a:b::c\r\n", fine),
    ]
}

fn chunks() -> Vec<Case> {
    let no = CutShort(400);
    let body = |name, text: &str, want| {
        case(name, format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{text}"), want)
    };
    let hidden = |name, text: &str| body(name, &format!("{text}{HIDDEN}"), no);
    vec![
        body("chunks", "3\r\nabc\r\n0\r\n\r\n", PLAIN),
        body("chunk size 0003", "0003\r\nabc\r\n000\r\n\r\n", PLAIN),
        body("chunk extension", "3;a=b\r\nabc\r\n0;c\r\n\r\n", PLAIN),
        body("chunk extension, quoted", "3;a=\"b;c\"\r\nabc\r\n0\r\n\r\n", PLAIN),
        body(
            "chunk trailers",
            "3\r\nabc\r\n0\r\nX: y\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n",
            PLAIN,
        ),
        hidden("chunk extension ended by a bare LF", "3;a\nabc\r\n0\r\n\r\n"),
        hidden("chunk extension with a bare CR", "3;a\rb\r\nabc\r\n0\r\n\r\n"),
        hidden("chunk extension with NUL", "3;a\0b\r\nabc\r\n0\r\n\r\n"),
        hidden("chunk size ended by a bare LF", "3\nabc\r\n0\r\n\r\n"),
        hidden("chunk size ended by a bare CR", "3\rabc\r\n0\r\n\r\n"),
        hidden("chunk size 0x3", "0x3\r\nabc\r\n0\r\n\r\n"),
        hidden("chunk size +3", "+3\r\nabc\r\n0\r\n\r\n"),
        hidden("chunk size -3", "-3\r\nabc\r\n0\r\n\r\n"),
        hidden("chunk size after a blank", " 3\r\nabc\r\n0\r\n\r\n"),
        hidden("chunk size before a blank", "3 \r\nabc\r\n0\r\n\r\n"),
        hidden("chunk size empty", "\r\nabc\r\n0\r\n\r\n"),
        hidden("chunk size 1_0", "1_0\r\nabc\r\n0\r\n\r\n"),
        hidden("chunk size 2^64+3", "10000000000000003\r\nabc\r\n0\r\n\r\n"),
        hidden("chunk size as a word", "three\r\nabc\r\n0\r\n\r\n"),
        hidden("chunk data too long", "3\r\nabcd\r\n0\r\n\r\n"),
        hidden("chunk data without an end", "3\r\nabc0\r\n\r\n"),
        hidden("chunk data ended by a bare LF", "3\r\nabc\n0\r\n\r\n"),
        hidden("chunk data ended by a bare CR", "3\r\nabc\r0\r\n\r\n"),
        hidden("chunk end by a bare LF", "3\r\nabc\r\n0\n\r\n"),
        hidden("chunk end by two bare LF", "3\r\nabc\r\n0\r\n\n"),
        hidden("chunk trailer without a colon", "3\r\nabc\r\n0\r\nX y\r\n\r\n"),
        hidden("chunk trailer folded", "3\r\nabc\r\n0\r\nX: y\r\n z\r\n\r\n"),
        hidden("chunk trailer with a bare LF", "3\r\nabc\r\n0\r\nX: y\nZ: z\r\n\r\n"),
        hidden("chunk trailer with NUL", "3\r\nabc\r\n0\r\nX: \0\r\n\r\n"),
    ]
}

fn targets() -> Vec<Case> {
    let no = Refused(400);
    let line = |name, line: &[u8], want| case(name, [line, b"\r\nHost: a\r\n\r\n"].concat(), want);
    vec![
        line("an empty line first", b"\r\nGET / HTTP/1.1", Passed(&["GET a /"])),
        line("two blanks before the target", b"GET  / HTTP/1.1", no),
        line("two blanks after the target", b"GET /  HTTP/1.1", no),
        line("tab instead of a blank", b"GET\t/ HTTP/1.1", no),
        line("blank first", b" GET / HTTP/1.1", no),
        line("blank last", b"GET / HTTP/1.1 ", no),
        line("http/1.1", b"GET / http/1.1", no),
        line("HTTP/1.10", b"GET / HTTP/1.10", no),
        line("HTTP/01.1", b"GET / HTTP/01.1", no),
        line("HTTP/1.2", b"GET / HTTP/1.2", Refused(505)),
        line("HTTP/2.0", b"GET / HTTP/2.0", Refused(505)),
        line("no version", b"GET /", no),
        line("a blank in the target", b"GET /a b HTTP/1.1", no),
        line("a version in the target", b"GET / HTTP/1.1 HTTP/1.1", no),
        line("parenthesis in the method", b"GE(T / HTTP/1.1", no),
        line("an unknown method", b"BREW /pot HTTP/1.1", Passed(&["BREW a /pot"])),
        line("a method in lower case", b"get / HTTP/1.1", Passed(&["get a /"])),
        line("fragment", b"GET /a#b HTTP/1.1", no),
        line("UTF-8 in the target", b"GET /\xc3\xa4 HTTP/1.1", no),
        line("control in the target", b"GET /\x01 HTTP/1.1", no),
        line("NUL in the target", b"GET /\0 HTTP/1.1", no),
        line("DEL in the target", b"GET /\x7f HTTP/1.1", no),
        line("encoded CRLF stays encoded", b"GET /%0d%0aX:%20y HTTP/1.1", Passed(&["GET a /%0d%0aX:%20y"])),
        line("a relative target", b"GET a HTTP/1.1", no),
        line("only a query", b"GET ?a HTTP/1.1", no),
        line("* for GET", b"GET * HTTP/1.1", no),
        line("* for OPTIONS", b"OPTIONS * HTTP/1.1", Passed(&["OPTIONS a *"])),
        line("two slashes first", b"GET //b/c HTTP/1.1", Passed(&["GET a //b/c"])),
        line("absolute, the same host", b"GET http://a/c HTTP/1.1", Passed(&["GET a /c"])),
        line("absolute, another host", b"GET http://evil/c HTTP/1.1", Passed(&["GET evil /c"])),
        line("absolute, no path", b"GET http://evil?c HTTP/1.1", Passed(&["GET evil /?c"])),
        line("absolute, user", b"GET http://u@evil/ HTTP/1.1", no),
        line("absolute, no host", b"GET http:///c HTTP/1.1", no),
        line("absolute, another scheme", b"GET ftp://evil/ HTTP/1.1", no),
        line("absolute, backslash", b"GET http://evil\\c/ HTTP/1.1", no),
    ]
}

fn hosts() -> Vec<Case> {
    let no = Refused(400);
    let host = |name, fields: &str, want| case(name, format!("GET / HTTP/1.1\r\n{fields}\r\n"), want);
    vec![
        host("no Host", "", no),
        host("Host empty", "Host:\r\n", no),
        host("Host twice, different", "Host: a\r\nHost: b\r\n", no),
        host("Host twice, equal", "Host: a\r\nHost: a\r\n", no),
        host("Host a,b", "Host: a,b\r\n", no),
        host("Host with a blank", "Host: a b\r\n", no),
        host("Host with a path", "Host: a/b\r\n", no),
        host("Host with a user", "Host: u@a\r\n", no),
        host("Host with a query", "Host: a?b\r\n", no),
        host("Host with a fragment", "Host: a#b\r\n", no),
        host("Host with a scheme", "Host: http://a\r\n", no),
        host("Host with a port that is none", "Host: a:b\r\n", no),
        host("Host with a port too high", "Host: a:99999\r\n", no),
        host("Host with NUL", "Host: a\0b\r\n", no),
        host("Host, blank before the colon", "Host : a\r\n", no),
        host("Host folded", "Host:\r\n a\r\n", no),
        host("Host with a port", "Host: a:8080\r\n", Passed(&["GET a:8080 /"])),
        host("Host of IPv6", "Host: [::1]:80\r\n", Passed(&["GET [::1]:80 /"])),
        case("Host twice in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", no),
    ]
}

fn connections() -> Vec<Case> {
    let no = Refused(400);
    let two = Passed(&["GET a /", "GET a /smuggled"]);
    let get = |name, fields: &str, want| case(name, format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n{HIDDEN}"), want);
    vec![
        get("Connection: host", "Connection: host\r\n", two),
        get("Connection: X-Forwarded-For", "Connection: X-Forwarded-For\r\nX-Forwarded-For: 1.2.3.4\r\n", two),
        get("Connection: close", "Connection: close\r\n", Last(&["GET a /"])),
        get("Connection: close, host", "Connection: close, host\r\n", Last(&["GET a /"])),
        post("Connection: content-length", "Connection: content-length\r\nContent-Length: 3\r\n", PLAIN),
        chunked(
            "Connection: transfer-encoding",
            "Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n",
            Passed(&["POST a /", "GET a /smuggled"]),
        ),
        get("Upgrade and what follows", "Connection: upgrade\r\nUpgrade: websocket\r\n", two),
        get(
            "Upgrade to h2c",
            "Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
            two,
        ),
        get("Upgrade without Connection", "Upgrade: websocket\r\n", two),
        post("Upgrade with a body", "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n", PLAIN),
        get("the preface of HTTP/2 later", "\r\nPRI * HTTP/2.0\r\n", Last(&["GET a /"])),
        case(
            "HEAD and what follows",
            format!("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n{HIDDEN}"),
            Passed(&["HEAD a /", "GET a /smuggled"]),
        ),
        case("CONNECT", format!("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n{HIDDEN}"), Refused(405)),
        case("CONNECT with a body", "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\nContent-Length: 3\r\n\r\nabc", no),
        case(
            "Expect: 100-continue",
            "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
            PLAIN,
        ),
        case(
            "Expect something else",
            "POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 3\r\n\r\nabc",
            Refused(417),
        ),
    ]
}
