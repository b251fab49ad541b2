//! The names that a state dict may import, by what they mean.

use safetensors::Dtype;

/// How many arguments of `_rebuild_tensor*` matter, and where the type stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// `_rebuild_tensor(storage, offset, size, stride)` and `_rebuild_tensor_v2` with more behind.
    Typed,
    /// `_rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype)`.
    Untyped,
}

/// What a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    OrderedDict,
    RebuildTensor(Version),
    RebuildParameter,
    /// The class of a storage with elements of this type.
    Storage(Dtype),
    /// The class of a storage of bytes.
    UntypedStorage,
    Dtype(Dtype),
}

impl Name {
    /// The meaning of `module.name`; `None` for every other name, whatever it is.
    pub(super) fn of(module: &str, name: &str) -> Option<Self> {
        match (module, name) {
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => {
                Some(Self::RebuildTensor(Version::Typed))
            }
            ("torch._utils", "_rebuild_tensor_v3") => Some(Self::RebuildTensor(Version::Untyped)),
            ("torch._utils", "_rebuild_parameter") => Some(Self::RebuildParameter),
            ("torch.storage", "UntypedStorage") | ("torch", "UntypedStorage") => {
                Some(Self::UntypedStorage)
            }
            ("torch", name) => match name.strip_suffix("Storage") {
                Some(kind) => storage_dtype(kind).map(Self::Storage),
                None => dtype(name).map(Self::Dtype),
            },
            _ => None,
        }
    }
}

fn storage_dtype(kind: &str) -> Option<Dtype> {
    Some(match kind {
        "Double" => Dtype::F64,
        "Float" => Dtype::F32,
        "Half" => Dtype::F16,
        "BFloat16" => Dtype::BF16,
        "Long" => Dtype::I64,
        "Int" => Dtype::I32,
        "Short" => Dtype::I16,
        "Char" => Dtype::I8,
        "Byte" => Dtype::U8,
        "Bool" => Dtype::BOOL,
        "ComplexFloat" => Dtype::C64,
        _ => return None,
    })
}

fn dtype(name: &str) -> Option<Dtype> {
    Some(match name {
        "float64" => Dtype::F64,
        "float32" => Dtype::F32,
        "float16" => Dtype::F16,
        "bfloat16" => Dtype::BF16,
        "float8_e4m3fn" => Dtype::F8_E4M3,
        "float8_e5m2" => Dtype::F8_E5M2,
        "int64" => Dtype::I64,
        "int32" => Dtype::I32,
        "int16" => Dtype::I16,
        "int8" => Dtype::I8,
        "uint64" => Dtype::U64,
        "uint32" => Dtype::U32,
        "uint16" => Dtype::U16,
        "uint8" => Dtype::U8,
        "bool" => Dtype::BOOL,
        "complex64" => Dtype::C64,
        _ => return None,
    })
}
