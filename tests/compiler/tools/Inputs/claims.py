"""claims.py FOLDER: small files that claim a gigabyte of data, one of each kind that is read."""
import pathlib
import struct
import sys

from onnx import TensorProto, helper

folder = pathlib.Path(sys.argv[1])
GIB = 1 << 30

tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[GIB // 4], raw_data=b"\0" * 64)
value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [GIB // 4])
graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [value("x")], [value("y")], [tensor])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
(folder / "raw.onnx").write_bytes(model.SerializeToString())
wire = model.SerializeToString()
# The graph's length, in the file's last field, says a gigabyte.
(folder / "length.onnx").write_bytes(b"\x08\x08\x3a\x80\x80\x80\x80\x04" + wire[:64])

fold = folder / "folder"
fold.mkdir()
(fold / "config.json").write_text('{"model_type": "bert", "architectures": ["BertModel"]}')
(fold / "model.safetensors").write_bytes(struct.pack("<Q", GIB) + b"{}" + b" " * 500)

header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d,), }\n" % (GIB // 4)
(folder / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + b"\0" * 64)

(folder / "short.tenon").write_bytes(b"TENON\r\n\x1a" + struct.pack("<HHIQQ", 1, 0, 4, GIB, GIB - 16) + b"\0" * 900)
