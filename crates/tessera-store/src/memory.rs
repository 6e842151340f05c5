//! placeholder, owned by helpers
