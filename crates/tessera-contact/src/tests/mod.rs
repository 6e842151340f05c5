mod email;
mod name;
mod phone;
mod region;
