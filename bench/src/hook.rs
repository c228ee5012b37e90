//! The app: a listener that is told to reload, notes when, and refuses as often as the bench wants.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

type Answer = dyn Fn(usize) -> bool + Send + Sync;

pub(crate) struct Hook {
    pub(crate) port: u16,
    told: Mutex<Receiver<Told>>,
}

/// A request that came in.
#[derive(Clone, Copy)]
pub(crate) struct Told {
    pub(crate) at: Instant,
    pub(crate) accepted: bool,
}

impl Hook {
    /// `answer` says by the number of the request whether it is accepted.
    pub(crate) fn new(answer: impl Fn(usize) -> bool + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let (sender, told) = sync_channel(100_000);
        let (answer, count): (Arc<Answer>, _) = (Arc::new(answer), Arc::new(Mutex::new(0)));
        // Ends with the process, as the threads of its connections do.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (sender, answer, count) = (sender.clone(), Arc::clone(&answer), Arc::clone(&count));
                std::thread::spawn(move || serve(stream, &sender, &*answer, &count));
            }
        });
        Ok(Self { port, told: Mutex::new(told) })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/-/reload", self.port)
    }

    /// The first request after a moment, if one comes in time.
    pub(crate) fn told_after(&self, moment: Instant, patience: Duration) -> Option<Told> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = (moment + patience).saturating_duration_since(Instant::now());
            match told.recv_timeout(left) {
                Ok(told) if told.at < moment => {}
                Ok(told) => return Some(told),
                Err(_) => return None,
            }
        }
    }

    /// All that came and nobody has looked at.
    pub(crate) fn drain(&self) -> Vec<Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).try_iter().collect()
    }
}

/// Requests have no body, or one as short as their head.
fn serve(mut stream: TcpStream, sender: &SyncSender<Told>, answer: &Answer, count: &Mutex<usize>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
        let at = Instant::now();
        request.extend_from_slice(&buffer[..length]);
        if !request.windows(4).any(|window| window == b"\r\n\r\n") {
            continue;
        }
        request.clear();
        let accepted = {
            let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
            *count += 1;
            answer(*count)
        };
        // Before the answer: who has been answered has been noted.
        sender.try_send(Told { at, accepted }).ok()?;
        let status = if accepted { "200 OK" } else { "500 Internal Server Error" };
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").ok()?;
    }
}
