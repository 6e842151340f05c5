//! Plans against events: text tables, hostile schemas, and properties.

mod comparing;
mod events;
mod hostile;
mod learning;
mod surprising;
