"""What is ours alone: configs, engines and the mend for tf_slim."""
