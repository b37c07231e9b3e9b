// Links one library whole against only what it declares; running it proves nothing more than that it linked.
int main() { return 0; }
