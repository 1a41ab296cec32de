//! A connection on which bytes may follow an answer, as if the server had answered again.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What follows the next answer of a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Echo(Arc<Mutex<Vec<u8>>>);

impl Echo {
    /// These bytes are written right behind the answer that is being made.
    pub(super) fn follow_with(&self, bytes: Vec<u8>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(bytes);
    }

    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A connection. An answer is flushed once it is written as a whole: what follows it is written then.
#[derive(Debug)]
pub(super) struct EchoingStream {
    stream: TcpStream,
    echo: Echo,
    rest: Vec<u8>,
}

impl EchoingStream {
    pub(super) fn new(stream: TcpStream) -> (Self, Echo) {
        let echo = Echo::default();
        let echoing = Self {
            stream,
            echo: echo.clone(),
            rest: Vec::new(),
        };
        (echoing, echo)
    }
}

impl AsyncRead for EchoingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for EchoingStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.rest.extend(this.echo.take());
        while !this.rest.is_empty() {
            let written = ready!(Pin::new(&mut this.stream).poll_write(context, &this.rest))?;
            this.rest.drain(..written);
        }
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
