"""The networks: their list, published weights and complexity."""
