//! The app behind the doors, started beside them and ended with the measurement.

use std::{
    env,
    net::TcpStream,
    process::{Child, Command},
    thread::sleep,
    time::{Duration, Instant},
};

pub(crate) struct App(Child);

impl App {
    pub(crate) fn start(port: u16) -> Result<Self, String> {
        let own = env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new("taskset");
        command.args(["-c", "1"]).arg(own).args(["upstream", "--port", &port.to_string()]);
        let app = Self(command.spawn().map_err(|error| error.to_string())?);
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if begun.elapsed() > Duration::from_secs(5) {
                return Err("the app behind the proxies did not start".into());
            }
            sleep(Duration::from_millis(1));
        }
        Ok(app)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
