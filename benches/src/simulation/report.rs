//! What a sale looked like: a text for the terminal and one page for people, with nothing outside of it.

mod page;
mod plot;
mod series;
mod text;

pub use page::page;
pub use text::text;
