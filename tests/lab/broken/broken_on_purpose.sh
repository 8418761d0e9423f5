# Expects what is not so, and must fail: booted, and from its snapshot. What would let it pass would let any scenario pass.
# fails: seen '0x0000002a'
# machine: arc
# kernels: 6.12
dirty_card 0000:05:00.0
expect_clean 0000:05:00.0
