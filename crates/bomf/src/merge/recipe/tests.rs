//! Reading mergekit's YAML.
