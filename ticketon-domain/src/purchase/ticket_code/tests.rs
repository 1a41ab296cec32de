//! Codes are read back, and nothing else is read as one.

use proptest::prelude::*;

use super::*;
use crate::purchase::{TicketKeys, TicketPublicKeys};

fn ticket(event: &str, seat: &str) -> TicketCode {
    let order = OrderId::from_bytes([9; 16]);
    let seat = SeatLabel::new(seat).unwrap();
    TicketCode {
        ticket: TicketId::derive(&order, &seat),
        order,
        event: EventId::new(event).unwrap(),
        seat,
    }
}

fn keys(id: &str, byte: u8) -> TicketKeys {
    TicketKeys::new(id, [byte; 32]).unwrap()
}

/// A code and the public key, as OpenSSL agrees that they belong together: printed tickets must be read for ever.
const PRINTED: &str = "TKT1.BDIwMjYJCQkJCQkJCQkJCQkJCQkJ5Hm7tni8H_aoWj5l1GwmZQRkZW1vBUEtMS03I0xUsUtJ2nQCKw_JM0-wKBD5wkez0-I0-G7v6Y23KTTCCDnbjOJObtPzR1zCFa7VBBS9L8e2n8bXRynsw1YeDw";
const PUBLIC: &str = "2026:6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=";

#[test]
fn a_code_that_was_printed_is_read_for_ever() {
    assert_eq!(keys("2026", 7).sign(&ticket("demo", "A-1-7")), PRINTED);
    assert_eq!(keys("2026", 7).public().to_string(), PUBLIC);
    let gate: TicketPublicKeys = PUBLIC.parse().unwrap();
    assert_eq!(gate.verify(PRINTED), Ok(ticket("demo", "A-1-7")));
}

#[test]
fn another_key_of_the_same_name_is_a_wrong_signature() {
    let code = keys("a", 1).sign(&ticket("demo", "A-1-7"));
    assert_eq!(keys("a", 2).verify(&code), Err(TicketCodeError::Signature));
    let key = "a".to_owned();
    assert_eq!(
        keys("b", 1).verify(&code),
        Err(TicketCodeError::UnknownKey { key })
    );
}

#[test]
fn keys_rotate() {
    let old = keys("old", 1);
    let code = old.sign(&ticket("demo", "A-1-7"));
    let new = keys("new", 2).also_accept(old.public()).unwrap();
    assert!(new.verify(&code).is_ok());
    assert!(old.verify(&new.sign(&ticket("demo", "A-1-7"))).is_err());
    assert!(
        new.clone().also_accept(old.public()).is_err(),
        "the id is taken"
    );
    let gate: TicketPublicKeys = new.public().to_string().parse().unwrap();
    assert_eq!(&gate, new.public());
    assert!(gate.verify(&code).is_ok());
}

#[test]
fn no_secret_is_shown() {
    let keys = keys("a", 0x41);
    let secret = "QUFBQUFB";
    for shown in [format!("{keys:?}"), keys.public().to_string()] {
        assert!(
            !shown.contains(secret) && !shown.contains("AAAA"),
            "{shown}"
        );
    }
    for bad in ["QUFBQUFB", "a:QUFBQUFB", "a:QUFBQUFB*", "a b:QUFBQUFB"] {
        let error = bad.parse::<TicketKeys>().unwrap_err().to_string();
        assert!(!error.contains(secret), "{error}");
    }
}

#[test]
fn keys_that_cannot_be_are_refused_by_name() {
    let field = |text: &str| {
        text.parse::<TicketKeys>().unwrap_err().fields[0]
            .field
            .clone()
    };
    let good = "a:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    assert!(good.parse::<TicketKeys>().is_ok());
    assert_eq!(field(""), "ticketKeys");
    assert_eq!(field("a"), "ticketKeys");
    assert_eq!(field("a:AQEB"), "ticketKeys.secret");
    assert_eq!(field("a:***"), "ticketKeys.secret");
    assert_eq!(field(&good.replace("a:", ":")), "ticketKeys.id");
    assert_eq!(field(&good.replace("a:", "a b:")), "ticketKeys.id");
    assert_eq!(field(&format!("{good},{good}")), "ticketKeys.id");
    // The identity of the curve's group: any text would be signed under it.
    let weak = "a:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let refused = weak.parse::<TicketPublicKeys>().unwrap_err();
    assert_eq!(refused.fields[0].field, "ticketKeys.public");
}

#[test]
fn what_is_no_code_is_refused_with_the_reason() {
    let keys = keys("a", 1);
    let code = keys.sign(&ticket("demo", "A-1-7"));
    for other in [
        "",
        "TKT1",
        "tkt1.AAAA",
        "TKT2.AAAA",
        "https://example.test/",
        &code[1..],
    ] {
        assert_eq!(
            keys.verify(other),
            Err(TicketCodeError::NotATicket),
            "{other}"
        );
    }
    let padded = format!("{code}=");
    let longer = format!("{code}{}", "A".repeat(MAX_CODE_BYTES));
    for damaged in [
        "TKT1.",
        "TKT1.AAAA",
        "TKT1.*",
        &padded,
        &longer,
        &format!("{code} "),
    ] {
        assert_eq!(
            keys.verify(damaged),
            Err(TicketCodeError::Damaged),
            "{damaged}"
        );
    }
    let refused = TicketCodeError::Signature.refused(&code);
    assert_eq!(refused.field, "code");
    assert!(refused.range.contains("forged"), "{refused}");
}

#[test]
fn the_longest_code_fits_a_qr_code_and_a_usual_one_is_small() {
    let id = "k".repeat(32);
    let longest = keys(&id, 1).sign(&ticket(&"e".repeat(128), &"s".repeat(16)));
    assert!(longest.len() <= MAX_CODE_BYTES, "{}", longest.len());
    assert!(qr_svg(&longest).is_some());
    assert_eq!(qr_svg(&"x".repeat(3_000)), None);
    let usual = keys("2026-01", 1).sign(&ticket("spring-tour-2026", "A-12-17"));
    let modules = qrcode::QrCode::with_error_correction_level(&usual, qrcode::EcLevel::M)
        .unwrap()
        .width();
    assert!(modules <= 57, "{modules} modules for {} bytes", usual.len());
}

#[test]
fn a_picture_stands_alone() {
    let picture = qr_svg("TKT1.abc").unwrap();
    assert!(
        picture.starts_with("<svg ") && picture.ends_with("</svg>"),
        "{picture}"
    );
    for never in ["href", "style", "script", "<?xml"] {
        assert!(!picture.contains(never), "{never}");
    }
}

fn tickets() -> impl Strategy<Value = TicketCode> {
    let texts = (
        "[a-z0-9 ~.한-]{1,32}",
        "[A-Za-z0-9_.+가]{1,10}-[0-9]{1,3}-[0-9]{1,3}",
    );
    (any::<[u8; 16]>(), any::<[u8; 16]>(), texts).prop_map(|(order, id, (event, seat))| {
        TicketCode {
            order: OrderId::from_bytes(order),
            ticket: TicketId::from_bytes(id),
            event: EventId::new(event).unwrap(),
            seat: SeatLabel::new(seat).unwrap(),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_ticket_is_read_back(ticket in tickets(), id in "[A-Za-z0-9._-]{1,32}", byte: u8) {
        let keys = keys(&id, byte);
        let code = keys.sign(&ticket);
        prop_assert!(code.len() <= MAX_CODE_BYTES);
        prop_assert_eq!(keys.verify(&code), Ok(ticket));
    }

    #[test]
    fn one_other_character_anywhere_is_refused(ticket in tickets(), at: prop::sample::Index, other in "[A-Za-z0-9_-]") {
        let keys = keys("a", 1);
        let code = keys.sign(&ticket);
        let at = at.index(code.len());
        let changed = format!("{}{other}{}", &code[..at], &code[at + 1..]);
        prop_assert_eq!(keys.verify(&changed).is_ok(), changed == code);
    }

    #[test]
    fn what_is_cut_off_is_refused(ticket in tickets(), at: prop::sample::Index) {
        let keys = keys("a", 1);
        let code = keys.sign(&ticket);
        prop_assert!(keys.verify(&code[..at.index(code.len())]).is_err());
    }

    #[test]
    fn any_text_is_refused_without_a_panic(text in "\\PC{0,80}") {
        let keys = keys("a", 1);
        prop_assert!(keys.verify(&text).is_err());
        let code = format!("TKT1.{text}");
        prop_assert!(keys.verify(&code).is_err());
    }
}
