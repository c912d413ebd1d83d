"""The student language model: backbone, fused LoRA experts, router, decoding, consensus."""
