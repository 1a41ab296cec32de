//! A child process whose output is kept, and that ends with its value.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::Looks;

/// Lines of output that are kept of a process; older ones are forgotten.
const KEPT_LINES: usize = 20_000;

/// Lines that a failing test prints of each of its processes.
const SHOWN_LINES: usize = 200;

/// A running child process.
///
/// Its standard output and error are read all the time, so that it never blocks on them. When the
/// value is dropped the process is killed and waited for; if the test is failing at that moment,
/// the end of the output is printed.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    lines: Arc<Mutex<VecDeque<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts the command; `name` is for messages.
    ///
    /// # Panics
    /// If the program cannot be started.
    #[must_use]
    pub fn spawn(name: &str, command: &mut Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            readers.push(keep(stdout, Arc::clone(&lines)));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.push(keep(stderr, Arc::clone(&lines)));
        }
        Self {
            name: name.to_owned(),
            child,
            lines,
            readers,
        }
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What the process printed so far, both streams in the order of arrival.
    #[must_use]
    pub fn output(&self) -> String {
        self.tail(KEPT_LINES)
    }

    /// How the process ended, if it has.
    ///
    /// # Panics
    /// If the system does not say.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        let status = self
            .child
            .try_wait()
            .unwrap_or_else(|error| panic!("cannot ask after {}: {error}", self.name));
        if status.is_some() {
            self.finish_reading();
        }
        status
    }

    /// Waits for the process to end by itself.
    ///
    /// # Panics
    /// If it still runs after `bound`.
    pub async fn wait_exit(&mut self, bound: Duration) -> ExitStatus {
        let mut looks = Looks::within(bound);
        loop {
            if let Some(status) = self.exited() {
                return status;
            }
            if let Err(seen) = looks.again_after("it runs".to_owned()).await {
                panic!("{} did not end: {seen}", self.name);
            }
        }
    }

    /// Kills the process, as a crash or a lost machine would, and waits for its end.
    pub fn kill9(&mut self) {
        // The only failures are those of a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.finish_reading();
    }

    /// Stops the process in its tracks: its connections stay open and nothing answers.
    pub fn pause(&mut self) {
        self.signal(Signal::STOP);
    }

    /// Lets a paused process go on.
    pub fn resume(&mut self) {
        self.signal(Signal::CONT);
    }

    /// Asks the process to end.
    pub fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    fn signal(&mut self, signal: Signal) {
        if let Some(status) = self.exited() {
            panic!(
                "{} has ended already, with {status}, before {signal:?}",
                self.name
            );
        }
        // Not waited for yet, so the id still belongs to this process.
        let sent = kill_process(Pid::from_child(&self.child), signal);
        sent.unwrap_or_else(|error| panic!("cannot send {signal:?} to {}: {error}", self.name));
    }

    fn tail(&self, count: usize) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let skipped = lines.len().saturating_sub(count);
        lines.iter().skip(skipped).map(String::as_str).collect()
    }

    /// After the end: the last lines may still be in the pipe.
    fn finish_reading(&mut self) {
        for reader in self.readers.drain(..) {
            // A grandchild may hold the pipe open for ever, so this has a bound.
            for _ in 0..100 {
                if reader.is_finished() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            eprintln!(
                "--- the last output of {}:\n{}---",
                self.name,
                self.tail(SHOWN_LINES)
            );
        }
    }
}

/// Reads a stream to its end, keeping its last lines.
fn keep(stream: impl Read + Send + 'static, lines: Arc<Mutex<VecDeque<String>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader
            .read_until(b'\n', &mut line)
            .is_ok_and(|length| length > 0)
        {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() == KEPT_LINES {
                lines.pop_front();
            }
            lines.push_back(String::from_utf8_lossy(&line).into_owned());
            line.clear();
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_streams_are_kept_up_to_the_last_line() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; printf last; exit 3"]);
        let mut process = Process::spawn("sh", &mut command);
        let status = process.wait_exit(Duration::from_secs(10)).await;
        assert_eq!(status.code(), Some(3));
        let output = process.output();
        for word in ["out\n", "err\n", "last"] {
            assert!(output.contains(word), "{output}");
        }
    }

    #[tokio::test]
    async fn a_dropped_process_is_gone() {
        let process = Process::spawn("sleep", Command::new("sleep").arg("600"));
        let pid = Pid::from_child(&process.child);
        drop(process);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }

    #[tokio::test]
    async fn a_terminated_process_ends_by_the_signal() {
        use std::os::unix::process::ExitStatusExt;
        let mut process = Process::spawn("sleep", Command::new("sleep").arg("600"));
        process.terminate();
        let status = process.wait_exit(Duration::from_secs(10)).await;
        assert_eq!(status.signal(), Some(15));
    }
}
