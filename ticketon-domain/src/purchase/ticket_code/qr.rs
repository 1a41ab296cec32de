//! The QR code of a text, as SVG.

use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};

/// Pixels a module at the natural size; the picture scales without loss.
const MODULE_PX: u32 = 6;

/// The QR code of a text (level M, with the quiet zone that scanners need) as a picture that stands alone: SVG without
/// script, style sheet or anything to load, good inside a page too. `None` when the text is longer than 2,331 bytes; a
/// ticket's code never is.
#[must_use]
pub fn qr_svg(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let picture = code
        .render::<svg::Color<'_>>()
        .quiet_zone(true)
        .module_dimensions(MODULE_PX, MODULE_PX)
        .build();
    // Without the prologue, the picture may stand inside a page.
    let start = picture.find("<svg").unwrap_or(0);
    Some(picture[start..].to_owned())
}
