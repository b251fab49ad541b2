//! Tests of reading data.
