//! What holds for every input, however odd: the fuzz targets call these, and the tests below do on every `cargo test`.

use crate::*;

/// Whatever is accepted is written anew in a form that is accepted again, means the same, and frames its body once.
pub fn request(bytes: &[u8]) {
    let Some((mut head, length)) = accepted(bytes) else { return };
    assert!(length <= bytes.len());
    head.strip_hop_by_hop();
    let mut out = Vec::new();
    write_request(&head, &mut out);
    check_text(&out);
    let framings = count(&out, b"\r\ncontent-length:") + count(&out, b"\r\ntransfer-encoding:");
    assert_eq!(framings, usize::from(head.body != Body::None), "{:?}", String::from_utf8_lossy(&out));
    assert!(count(&out, b"\r\nhost:") == 1 || head.version == Version::Http10);
    if head.version == Version::Http10 && !head.headers.contains("host") {
        return;
    }
    let Some((again, length)) = accepted(&out) else { panic!("refused: {:?}", String::from_utf8_lossy(&out)) };
    assert_eq!(length, out.len());
    assert_eq!((&again.method, again.target(), again.host()), (&head.method, head.target(), head.host()));
    assert_eq!((again.body, again.upgrade), (head.body, head.upgrade && head.version == Version::Http11));
}

/// The same for a response to GET and to HEAD.
pub fn response(bytes: &[u8]) {
    for asked in [Method::Get, Method::Head] {
        let Some(mut head) = answered(bytes, &asked) else { continue };
        head.strip_hop_by_hop();
        let mut out = Vec::new();
        write_response(&head, Version::Http11, &mut out);
        check_text(&out);
        let framings = count(&out, b"\r\ncontent-length:") + count(&out, b"\r\ntransfer-encoding:");
        assert!(framings <= 1, "{:?}", String::from_utf8_lossy(&out));
        let Some(again) = answered(&out, &asked) else { panic!("refused: {:?}", String::from_utf8_lossy(&out)) };
        assert_eq!((again.status, again.body, again.announced), (head.status, head.body, head.announced));
    }
}

/// A body means the same however it is cut into pieces; and what is written for its data is read as that data.
pub fn chunked(bytes: &[u8], cut: usize) {
    let whole = decode(bytes, bytes.len().max(1));
    let pieces = decode(bytes, cut.clamp(1, 64));
    assert_eq!(whole, pieces, "{:?}", String::from_utf8_lossy(bytes));
    let Ok((data, _)) = whole else { return };
    let mut out = Vec::new();
    if !data.is_empty() {
        write_chunk_start(data.len(), &mut out);
        out.extend_from_slice(&data);
        out.extend_from_slice(b"\r\n");
    }
    write_last_chunk(None, &mut out);
    assert_eq!(decode(&out, out.len()), Ok((data, out.len())));
}

fn accepted(bytes: &[u8]) -> Option<(RequestHead, usize)> {
    let mut head = RequestHead::default();
    let end = Scan::default().find(bytes, &Limits::default()).ok()??;
    parse_request(&bytes[..end], &mut head).ok()?;
    Some((head, end))
}

fn answered(bytes: &[u8], asked: &Method) -> Option<ResponseHead> {
    let mut head = ResponseHead::default();
    let end = Scan::default().find_response(bytes, &Limits::default()).ok()??;
    parse_response(&bytes[..end], asked, &mut head).ok()?;
    Some(head)
}

/// No line ends but ours, and nothing that a careless reader would take for one.
fn check_text(out: &[u8]) {
    assert!(out.ends_with(b"\r\n\r\n") && count(out, b"\r\n\r\n") == 1);
    let mut before = 0;
    for byte in out {
        assert!(*byte != 0 && (*byte == b'\n') == (before == b'\r'), "{:?}", String::from_utf8_lossy(out));
        before = *byte;
    }
}

fn count(text: &[u8], lowercase: &[u8]) -> usize {
    text.windows(lowercase.len()).filter(|window| window.eq_ignore_ascii_case(lowercase)).count()
}

/// The data, and where the body ended; fed in pieces.
fn decode(bytes: &[u8], piece: usize) -> Result<(Vec<u8>, usize), Error> {
    let (mut decoder, mut data, mut at, mut end) = (Decoder::new(Body::Chunked), Vec::new(), 0, 0);
    loop {
        let (used, next) = match decoder.next(&bytes[at..end]) {
            Ok(found) => found,
            Err(error) => {
                // Whoever asks again, with whatever is there by then, hears the same.
                for from in at..=end {
                    assert_eq!(decoder.next(&bytes[from..]), Err(error));
                }
                assert!(decoder.ended() == Err(error) && !decoder.is_done());
                return Err(error);
            }
        };
        at += used;
        match next {
            Next::End => return Ok((data, at)),
            Next::Data(most) if at < end => {
                let take = usize::try_from(most).unwrap_or(usize::MAX).min(end - at);
                data.extend_from_slice(&bytes[at..at + take]);
                decoder.took(take as u64);
                at += take;
            }
            _ if end == bytes.len() => return decoder.ended().map(|()| (data, at)),
            _ => end = (end + piece).min(bytes.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// Words of the protocol in any order find more than random bytes do.
    fn words(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![
            8 => proptest::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
            1 => proptest::collection::vec(any::<u8>(), 0..3),
        ];
        proptest::collection::vec(word, 0..24).prop_map(|parts| parts.concat())
    }

    const REQUEST: &[&str] = &[
        "GET / HTTP/1.1\r\n",
        "POST /a?b HTTP/1.0\r\n",
        "CONNECT a:1 HTTP/1.1\r\n",
        "OPTIONS * HTTP/1.1\r\n",
        "GET http://b:2/c HTTP/1.1\r\n",
        "Host: a\r\n",
        "host: b\r\n",
        "Content-Length: 3\r\n",
        "content-length:0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Connection: upgrade, x, host\r\n",
        "Upgrade: websocket\r\n",
        "Connection: close\r\n",
        "X: y\r\n",
        " fold\r\n",
        "\r\n",
        "\n",
        "\r",
        ":",
        "a",
        " ",
        "Expect: 100-continue\r\n",
        "TE: trailers\r\n",
        "Keep-Alive: timeout=5\r\n",
        "\t",
        "\0",
    ];
    const RESPONSE: &[&str] = &[
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 204 \r\n",
        "HTTP/1.1 304 Nope\r\n",
        "HTTP/1.1 101 Switch\r\n",
        "Content-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: upgrade\r\n",
        "Upgrade: x\r\n",
        "Keep-Alive: timeout=5\r\n",
        "X: y\r\n",
        "\r\n",
        "\n",
        " ",
        "HTTP/1.1 999\r\n",
        "HTTP/1.1 200 OK\n",
        "Content-Length: 3\n",
        "X: y\n",
    ];
    const CHUNKED: &[&str] = &[
        "0",
        "1",
        "a",
        "3",
        "\r\n",
        "\r\n",
        "\r\n",
        "\n",
        ";x=y",
        " ",
        "abc",
        "0\r\n\r\n",
        "X: y\r\n",
        "ffffffffffffffff",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn requests(bytes in words(REQUEST)) {
            super::request(&bytes);
            super::request(&[b"GET / HTTP/1.1\r\nHost: a\r\n", &bytes[..], b"\r\n"].concat());
        }

        #[test]
        fn responses(bytes in words(RESPONSE)) {
            super::response(&bytes);
            super::response(&[b"HTTP/1.1 200 OK\r\n", &bytes[..], b"\r\n"].concat());
        }

        #[test]
        fn bodies(bytes in words(CHUNKED), cut in 1usize..20) {
            super::chunked(&bytes, cut);
        }

        #[test]
        fn anything(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 1usize..20) {
            super::request(&bytes);
            super::response(&bytes);
            super::chunked(&bytes, cut);
        }
    }
}
