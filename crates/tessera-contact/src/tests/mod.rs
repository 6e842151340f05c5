mod address;
mod check;
mod day;
mod email;
mod name;
mod phone;
mod region;
mod standards;
