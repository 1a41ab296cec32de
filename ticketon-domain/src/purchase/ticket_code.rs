//! Ticket codes: a ticket as a short signed text, for the QR code that its holder shows at the gate.
//!
//! A code names ticket, order, event and seat, and is signed by Ed25519, so a gate that has the public keys checks it
//! without asking anybody. A good code says that the ticket was sold; whether it was given back or used since, only
//! the store knows. A code is no secret of its holder's: whoever photographs it has it.

mod keys;
mod qr;
#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{SIGNATURE_LENGTH, Signature};
use ticketon_queue::{EventId, FieldError};

use super::{OrderId, TicketId};
use crate::venue::SeatLabel;

pub use keys::{TicketKeys, TicketPublicKeys};
pub use qr::qr_svg;

/// What a code begins with: the kind of text it is, and the version of its layout. It is signed too.
const PREFIX: &str = "TKT1.";
/// The longest code that there is, in bytes.
pub const MAX_CODE_BYTES: usize = 436;

/// What a ticket's code says.
///
/// ```
/// use ticketon_domain::purchase::{OrderId, TicketCode, TicketId, TicketKeys};
/// let keys = TicketKeys::random();
/// let order = OrderId::random(1_700_000_000_000);
/// let seat = "A-1-7".parse()?;
/// let ticket = TicketCode {
///     ticket: TicketId::derive(&order, &seat),
///     order,
///     event: "demo".parse()?,
///     seat,
/// };
/// let code = keys.sign(&ticket);
/// // A gate needs the public keys alone.
/// assert_eq!(keys.public().verify(&code), Ok(ticket));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketCode {
    /// The ticket.
    pub ticket: TicketId,
    /// Its order.
    pub order: OrderId,
    /// What it opens.
    pub event: EventId,
    /// Its seat.
    pub seat: SeatLabel,
}

/// Why a text is refused as a ticket's code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketCodeError {
    /// It is some other text, or a code of a version that this program does not know.
    #[error("this is no ticket code: it does not begin with {PREFIX:?}")]
    NotATicket,
    /// It begins like a code, and the rest cannot be read: cut off, or misread by a scanner.
    #[error("the ticket code is damaged or cut off")]
    Damaged,
    /// It was signed with a key that is not accepted.
    #[error("the ticket code was signed with a key that is not known here: {key:?}")]
    UnknownKey {
        /// The key's id.
        key: String,
    },
    /// Its signature is wrong: it was changed or forged.
    #[error("the ticket code's signature is wrong: it was changed or forged")]
    Signature,
}

impl TicketCodeError {
    /// The refused field `code` of a request.
    #[must_use]
    pub fn refused(&self, code: &str) -> FieldError {
        FieldError::new("code", code, format!("the code of a ticket ({self})"))
    }
}

impl TicketCode {
    /// The bytes before the signature.
    fn body(&self, key: &str) -> Vec<u8> {
        let mut body = Vec::with_capacity(MAX_CODE_BYTES);
        put_text(&mut body, key);
        body.extend(self.order.as_bytes());
        body.extend(self.ticket.as_bytes());
        put_text(&mut body, self.event.as_str());
        put_text(&mut body, self.seat.as_str());
        body
    }
}

/// A code that can be read, before its signature was looked at.
struct Parsed {
    key: String,
    ticket: TicketCode,
    signed: Vec<u8>,
    signature: Signature,
}

impl Parsed {
    fn read(code: &str) -> Result<Self, TicketCodeError> {
        let text = code
            .strip_prefix(PREFIX)
            .ok_or(TicketCodeError::NotATicket)?;
        if code.len() > MAX_CODE_BYTES {
            return Err(TicketCodeError::Damaged);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        bytes
            .as_deref()
            .and_then(Self::decoded)
            .ok_or(TicketCodeError::Damaged)
    }

    fn decoded(bytes: &[u8]) -> Option<Self> {
        let (body, signature) = bytes.split_last_chunk::<SIGNATURE_LENGTH>()?;
        let mut rest = body;
        let key = take_text(&mut rest)?.to_owned();
        let order = OrderId::from_bytes(*take(&mut rest)?);
        let ticket = TicketId::from_bytes(*take(&mut rest)?);
        let event = EventId::new(take_text(&mut rest)?).ok()?;
        let seat = SeatLabel::new(take_text(&mut rest)?).ok()?;
        rest.is_empty().then(|| Self {
            key,
            ticket: TicketCode {
                ticket,
                order,
                event,
                seat,
            },
            signed: signed(body),
            signature: Signature::from_bytes(signature),
        })
    }
}

/// What is signed: the kind and version too, so that a signature is good for nothing else.
fn signed(body: &[u8]) -> Vec<u8> {
    [PREFIX.as_bytes(), body].concat()
}

/// The whole code.
fn written(mut body: Vec<u8>, signature: &Signature) -> String {
    body.extend(signature.to_bytes());
    let mut code = PREFIX.to_owned();
    URL_SAFE_NO_PAD.encode_string(body, &mut code);
    code
}

/// Ids have at most 128 bytes: their lengths fit into one.
fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.push(u8::try_from(text.len()).unwrap_or_else(|_| unreachable!("ids are short")));
    bytes.extend(text.as_bytes());
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(taken)
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let [length] = *take::<1>(rest)?;
    let (taken, left) = rest.split_at_checked(length.into())?;
    *rest = left;
    std::str::from_utf8(taken).ok()
}
