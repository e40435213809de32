// Command postern issues, enforces and explains CloudFront-compatible signed URLs and cookies.
package main

func main() {}
