//! Enough of a Redis for those who keep sessions: its protocol, a few commands, and what a test wants to see and break.

use std::{
    collections::{BTreeMap, HashMap},
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

pub struct Redis {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    texts: HashMap<String, (String, Option<Instant>)>,
    sorted: HashMap<String, BTreeMap<String, f64>>,
    password: Option<String>,
    /// Who writes, where this one is a sentinel.
    master: Option<SocketAddr>,
    is_down: bool,
    asked: HashMap<String, usize>,
}

enum Reply {
    Ok,
    Nil,
    Text(String),
    Number(usize),
    List(Vec<Reply>),
    Error(&'static str),
}

impl Default for Redis {
    fn default() -> Self {
        Self::start()
    }
}

impl Redis {
    pub fn start() -> Self {
        Self::with(State::default())
    }

    pub fn with_password(password: &str) -> Self {
        Self::with(State { password: Some(password.into()), ..State::default() })
    }

    /// One that knows who the master called `main` is.
    pub fn sentinel(master: SocketAddr) -> Self {
        Self::with(State { master: Some(master), ..State::default() })
    }

    fn with(state: State) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || drop(serve(&stream, &state)));
            }
        });
        Self { addr, state }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Every connection ends with its next command, and every new one at once.
    pub fn set_down(&self, down: bool) {
        self.state.lock().unwrap().is_down = down;
    }

    /// Everything that is kept: keys and values.
    pub fn dump(&self) -> String {
        let state = self.state.lock().unwrap();
        let texts = state.texts.iter().map(|(key, (value, _))| format!("{key} {value}"));
        let sorted = state.sorted.iter().map(|(key, members)| format!("{key} {members:?}"));
        texts.chain(sorted).collect::<Vec<_>>().join("\n")
    }

    /// How often a command came, by its name in capitals.
    pub fn asked(&self, command: &str) -> usize {
        self.state.lock().unwrap().asked.get(command).copied().unwrap_or(0)
    }
}

fn serve(mut stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut is_known = state.lock().unwrap().password.is_none();
    loop {
        let Some(words) = command(&mut reader)? else { return Ok(()) };
        let mut state = state.lock().unwrap();
        if state.is_down {
            return Ok(());
        }
        let name = words[0].to_ascii_uppercase();
        *state.asked.entry(name.clone()).or_default() += 1;
        let reply = match &*name {
            "AUTH" => {
                is_known = state.password.as_ref() == words.last();
                if is_known { Reply::Ok } else { Reply::Error("WRONGPASS invalid username-password pair") }
            }
            _ if !is_known => Reply::Error("NOAUTH Authentication required."),
            _ => state.answer(&name, &words[1..]),
        };
        drop(state);
        stream.write_all(&written(&reply))?;
    }
}

fn command(reader: &mut impl BufRead) -> std::io::Result<Option<Vec<String>>> {
    let mut line = String::new();
    let mut number = |reader: &mut dyn BufRead| -> std::io::Result<Option<usize>> {
        line.clear();
        Ok(if reader.read_line(&mut line)? == 0 { None } else { line[1..].trim().parse().ok() })
    };
    let Some(count) = number(reader)? else { return Ok(None) };
    let mut words = Vec::new();
    for _ in 0..count {
        let length = number(reader)?.unwrap();
        let mut bytes = vec![0; length + 2];
        reader.read_exact(&mut bytes)?;
        bytes.truncate(length);
        words.push(String::from_utf8(bytes).unwrap());
    }
    Ok(Some(words))
}

fn written(reply: &Reply) -> Vec<u8> {
    match reply {
        Reply::Ok => b"+OK\r\n".to_vec(),
        Reply::Nil => b"$-1\r\n".to_vec(),
        Reply::Text(text) => format!("${}\r\n{text}\r\n", text.len()).into_bytes(),
        Reply::Number(number) => format!(":{number}\r\n").into_bytes(),
        Reply::Error(why) => format!("-{why}\r\n").into_bytes(),
        Reply::List(list) => {
            let mut bytes = format!("*{}\r\n", list.len()).into_bytes();
            bytes.extend(list.iter().flat_map(written));
            bytes
        }
    }
}

impl State {
    fn answer(&mut self, name: &str, words: &[String]) -> Reply {
        let now = Instant::now();
        self.texts.retain(|_, (_, until)| until.is_none_or(|until| until > now));
        let has = |option: &str| words.iter().any(|word| word.eq_ignore_ascii_case(option));
        match name {
            "CLIENT" | "SELECT" | "PING" => Reply::Ok,
            "ROLE" => Reply::List(vec![Reply::Text("master".into()), Reply::Number(0), Reply::List(Vec::new())]),
            "SENTINEL" => match self.master.filter(|_| words[1] == "main") {
                Some(master) => {
                    Reply::List(vec![Reply::Text(master.ip().to_string()), Reply::Text(master.port().to_string())])
                }
                None => Reply::Nil,
            },
            "GET" => self.texts.get(&words[0]).map_or(Reply::Nil, |(value, _)| Reply::Text(value.clone())),
            "SET" => {
                let is_there = self.texts.contains_key(&words[0]);
                if (has("NX") && is_there) || (has("XX") && !is_there) {
                    return Reply::Nil;
                }
                let seconds = words.iter().position(|word| word == "EX").map(|at| words[at + 1].parse().unwrap());
                let until = seconds.map(|seconds| now + Duration::from_secs(seconds));
                self.texts.insert(words[0].clone(), (words[1].clone(), until));
                Reply::Ok
            }
            "DEL" => {
                let gone = |key: &&String| self.texts.remove(*key).is_some() | self.sorted.remove(*key).is_some();
                Reply::Number(words.iter().filter(gone).count())
            }
            "ZADD" => {
                let set = self.sorted.entry(words[0].clone()).or_default();
                Reply::Number(usize::from(set.insert(words[2].clone(), words[1].parse().unwrap()).is_none()))
            }
            "ZREMRANGEBYSCORE" => {
                let most: f64 = words[2].parse().unwrap();
                let Some(set) = self.sorted.get_mut(&words[0]) else { return Reply::Number(0) };
                let before = set.len();
                set.retain(|_, score| *score > most);
                Reply::Number(before - set.len())
            }
            "ZRANGE" => {
                let set = self.sorted.get(&words[0]).into_iter().flatten();
                Reply::List(set.map(|(member, _)| Reply::Text(member.clone())).collect())
            }
            "EXPIRE" => Reply::Number(1),
            _ => Reply::Error("ERR unknown command"),
        }
    }
}
