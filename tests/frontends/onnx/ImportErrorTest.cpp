//===- ImportErrorTest.cpp - wrong ONNX models, each named by its fault ---------------===//
#include "dialects/tenon/Tenon.h"
#include "frontends/onnx/importer/Import.h"
#include "tests/frontends/onnx/ModelBytes.h"
#include "llvm/Support/raw_ostream.h"

using namespace tenon;
using onnx_reader::addModel;

namespace {

/// The first error of importing the model, as "location: message" and its notes, a line each.
std::string errorOf(const ::onnx::ModelProto &model) {
  mlir::MLIRContext context;
  WeightStore weights;
  std::string text;
  llvm::raw_string_ostream out(text);
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
    out << diagnostic.getLocation() << ": " << diagnostic << "\n";
    for (mlir::Diagnostic &note : diagnostic.getNotes())
      out << "  " << note << "\n";
  });
  std::string bytes = model.SerializeAsString();
  auto module = importOnnx(Bytes::own({bytes.begin(), bytes.end()}), "m.onnx", std::nullopt, context, weights);
  EXPECT_EQ(bool(module), text.empty());
  return text.empty() ? "no error" : text;
}

::onnx::NodeProto &node(::onnx::ModelProto &model) { return *model.mutable_graph()->mutable_node(0); }

/// The one node as `type` of the input x alone.
::onnx::ModelProto unaryModel(const std::string &type) {
  ::onnx::ModelProto model = addModel();
  node(model).set_op_type(type);
  node(model).mutable_input()->RemoveLast();
  return model;
}

void setInteger(::onnx::NodeProto &node, const std::string &name, int64_t value) {
  ::onnx::AttributeProto &attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(::onnx::AttributeProto::INT);
  attribute.set_i(value);
}

TEST(OnnxImportError, None) { EXPECT_EQ(errorOf(addModel()), "no error"); }

TEST(OnnxImportError, UnsupportedOperatorsAreGroupedWithTheirNodes) {
  ::onnx::ModelProto model = addModel();
  for (const char *name : {"first", "second"}) {
    ::onnx::NodeProto &extra = *model.mutable_graph()->add_node();
    extra.set_name(name);
    extra.set_op_type("NonMaxSuppression");
    extra.add_output(std::string("unused ") + name);
  }
  ::onnx::NodeProto &foreign = *model.mutable_graph()->add_node();
  foreign.set_op_type("Blur");
  foreign.set_domain("com.example");
  foreign.add_output("unused");
  EXPECT_EQ(errorOf(model), "loc(unknown): m.onnx: 3 nodes of 2 kinds cannot be imported\n"
                            "  NonMaxSuppression: not supported (selection of detection boxes); 2 nodes: 'first', "
                            "'second'\n"
                            "  Blur: operators of the domain 'com.example' are not supported; 1 node: "
                            "'unused'\n"
                            "  for NonMaxSuppression: export the model up to its boxes and scores, and select from "
                            "them in the application\n"
                            "  for Blur: export the model without it, or with a local function of that name, which is "
                            "inlined\n"
                            "  docs/onnx-support.md lists what is imported, and what is not\n");
}

TEST(OnnxImportError, LayoutsOfOneMachine) {
  ::onnx::ModelProto model = unaryModel("ReorderInput");
  node(model).set_domain("com.microsoft.nchwc");
  EXPECT_EQ(errorOf(model),
            "loc(unknown): m.onnx: 1 node of 1 kind cannot be imported\n"
            "  ReorderInput: not supported (layouts of one machine, which ONNX Runtime chooses while it "
            "loads a model); 1 node: 'add'\n"
            "  for ReorderInput: compile the file from before, or save it with graph_optimization_level "
            "= ORT_ENABLE_EXTENDED instead of ORT_ENABLE_ALL\n"
            "  docs/onnx-support.md lists what is imported, and what is not\n");
}

TEST(OnnxImportError, OperandThatIsNotTheOperators) {
  ::onnx::ModelProto model = unaryModel("Relu");
  node(model).add_input("w");
  EXPECT_EQ(errorOf(model), "loc(\"add\"(\"Relu\")): input 1: wanted none of it, found 'w'\n");
}

TEST(OnnxImportError, OperatorNewerThanTheModel) {
  ::onnx::ModelProto model = unaryModel("Gelu");
  EXPECT_EQ(errorOf(model), "loc(unknown): m.onnx: 1 node of 1 kind cannot be imported\n"
                            "  Gelu: wanted operator set 20 or newer, found 18; 1 node: 'add'\n"
                            "  for Gelu: export the model again with opset_version=20, or "
                            "onnx.version_converter.convert_version(model, 20)\n"
                            "  docs/onnx-support.md lists what is imported, and what is not\n");
}

TEST(OnnxImportError, OperatorSetOutOfRange) {
  ::onnx::ModelProto model = addModel();
  model.mutable_opset_import(0)->set_version(99);
  EXPECT_EQ(errorOf(model),
            "loc(unknown): m.onnx: wanted an operator set from 1 to 28, found 99; export the model again "
            "with opset_version=18, or onnx.version_converter.convert_version(model, 18)\n");
}

TEST(OnnxImportError, DimensionsThatContradict) {
  ::onnx::ModelProto model = addModel();
  model.mutable_graph()
      ->mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(1)
      ->set_dim_value(4);
  EXPECT_EQ(errorOf(model), "loc(\"add\"(\"Add\")): broadcast of [batch, 4] with [3]: wanted 4, found 3\n");
}

TEST(OnnxImportError, OutputThatContradicts) {
  ::onnx::ModelProto model = addModel();
  model.mutable_graph()->mutable_output(0)->Clear();
  onnx_reader::setValue(*model.mutable_graph()->mutable_output(0), "y", {"batch", "5"});
  EXPECT_EQ(errorOf(model), "loc(\"y\"(\"output\")): output 'y': the file says dims [batch, 5], found [batch, 3]\n");
}

TEST(OnnxImportError, OutputOfAnotherType) {
  ::onnx::ModelProto model = addModel();
  model.mutable_graph()->mutable_output(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
      ::onnx::TensorProto::DOUBLE);
  EXPECT_EQ(errorOf(model), "loc(\"y\"(\"output\")): output 'y': the file says float64, found float32\n");
}

TEST(OnnxImportError, MissingInput) {
  ::onnx::ModelProto model = unaryModel("Add");
  EXPECT_EQ(errorOf(model), "loc(\"add\"(\"Add\")): wants an input 1, found 1 input\n");
}

TEST(OnnxImportError, MixedElementTypes) {
  ::onnx::ModelProto model = addModel();
  model.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
      ::onnx::TensorProto::INT64);
  EXPECT_EQ(errorOf(model), "loc(\"add\"(\"Add\")): wants operands of one element type, found 'i64' and 'f32'\n");
}

TEST(OnnxImportError, InputOfStrings) {
  ::onnx::ModelProto model = addModel();
  model.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
      ::onnx::TensorProto::STRING);
  EXPECT_EQ(errorOf(model), "loc(\"x\"(\"input\")): input 'x': wanted a tensor of numbers or bool of known rank, found "
                            "tensor of string; export the model from its token ids on, and make them from text in the "
                            "application\n");
}

TEST(OnnxImportError, AxisOutOfRange) {
  ::onnx::ModelProto model = unaryModel("Softmax");
  setInteger(node(model), "axis", 2);
  EXPECT_EQ(errorOf(model), "loc(\"add\"(\"Softmax\")): wanted an axis from -2 to 1, found 2\n");
}

TEST(OnnxImportError, AttributeOfAnotherType) {
  ::onnx::ModelProto model = unaryModel("LeakyRelu");
  setInteger(node(model), "alpha", 1);
  EXPECT_EQ(errorOf(model), "loc(\"add\"(\"LeakyRelu\")): attribute 'alpha': wanted a float, found another type\n");
}

TEST(OnnxImportError, UnknownAttribute) {
  ::onnx::ModelProto model = unaryModel("Relu");
  setInteger(node(model), "slope", 1);
  EXPECT_EQ(errorOf(model), "loc(\"add\"(\"Relu\")): attribute 'slope' is not one of this operator's in operator set "
                            "18\n");
}

TEST(OnnxImportError, ShapeFromData) {
  ::onnx::ModelProto model = addModel();
  node(model).set_op_type("Reshape");
  onnx_reader::setValue(*model.mutable_graph()->add_input(), "s", {"2"});
  model.mutable_graph()->mutable_input(1)->mutable_type()->mutable_tensor_type()->set_elem_type(
      ::onnx::TensorProto::INT64);
  node(model).set_input(1, "s");
  EXPECT_EQ(errorOf(model), "no error") << "the file says the dims of the result";
  model.mutable_graph()->mutable_output(0)->mutable_type()->mutable_tensor_type()->clear_shape();
  EXPECT_EQ(errorOf(model),
            "loc(\"add\"(\"Reshape\")): shape (input 1, 's'): wanted sizes known from the shapes of the "
            "inputs, or a result whose dims the file gives, found an input of the model: make it a constant when "
            "exporting (docs/onnx-support.md, Sizes that are data)\n");
}

TEST(OnnxImportError, ElementsThatDoNotFitAShape) {
  ::onnx::ModelProto model = addModel();
  node(model).set_op_type("Reshape");
  int64_t shape[] = {2, 5};
  onnx_reader::addInitializer(model, "s", ::onnx::TensorProto::INT64, {2}).set_raw_data(shape, sizeof(shape));
  model.mutable_graph()->mutable_input(0)->Clear();
  onnx_reader::setValue(*model.mutable_graph()->mutable_input(0), "x", {"3", "3"});
  node(model).set_input(1, "s");
  EXPECT_EQ(errorOf(model), "loc(\"add\"(\"Reshape\")): elements of [3, 3] as [2, 5]: wanted 9, found 10\n");
}

} // namespace
