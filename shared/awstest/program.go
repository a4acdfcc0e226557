package awstest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// program says how one server is run on a port of the loopback interface.
type program func(tools string, port int) (*exec.Cmd, func(), error)

// dynamoDBLocal: with one database for all access keys and regions, and
// without calling home. It listens on all interfaces; it has no flag for that.
func dynamoDBLocal(tools string, port int) (*exec.Cmd, func(), error) {
	dir := filepath.Join(tools, "dynamodb-local")
	if err := installed("DynamoDB Local", dir+".version"); err != nil {
		return nil, nil, err
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, nil, fmt.Errorf("java (for DynamoDB Local): %w", errMissing)
	}
	cmd := exec.Command(java, "-Xmx1g", "-XX:+UseSerialGC", "-Djava.library.path="+dir, "-cp", filepath.Join(dir, "*"),
		"com.amazonaws.services.dynamodbv2.local.main.ServerRunner",
		"-inMemory", "-sharedDb", "-disableTelemetry", "-port", strconv.Itoa(port))
	cmd.Dir = dir
	return cmd, func() {}, nil
}

func motoServer(tools string, port int) (*exec.Cmd, func(), error) {
	if err := installed("moto", filepath.Join(tools, "venv.version")); err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(python(tools), "-m", "moto.server", "-H", "127.0.0.1", "-p", strconv.Itoa(port))
	return cmd, func() {}, nil
}

// python is the interpreter of the virtual environment. Its scripts name the
// folder that they were installed in; modules can be run after a move as well.
func python(tools string) string { return filepath.Join(tools, "venv", "bin", "python") }

// versitygw keeps objects as files, and what S3 knows about them in a folder
// beside, as not every file system has extended attributes.
func versitygw(tools string, port int) (*exec.Cmd, func(), error) {
	if err := installed("versitygw", filepath.Join(tools, "versitygw.version")); err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "jobhook-s3-*")
	if err != nil {
		return nil, nil, fmt.Errorf("folder of versitygw: %w", err)
	}
	remove := func() { _ = os.RemoveAll(dir) }
	objects, about := filepath.Join(dir, "objects"), filepath.Join(dir, "about")
	for _, sub := range []string{objects, about} {
		if err := os.Mkdir(sub, 0o755); err != nil {
			remove()
			return nil, nil, fmt.Errorf("folder of versitygw: %w", err)
		}
	}
	cmd := exec.Command(filepath.Join(tools, "bin", "versitygw"), "--port", "127.0.0.1:"+strconv.Itoa(port), "--keep-alive", "--quiet",
		"--region", Region, "--access", AccessKey, "--secret", SecretKey, "posix", "--sidecar", about, objects)
	return cmd, remove, nil
}

// installed looks for the file that .ci/tools writes last.
func installed(name, file string) error {
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("%s: %w", name, errMissing)
	}
	return nil
}

// toolsDir returns build/tools of the repository that the test runs in.
func toolsDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "build", "tools"), nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("find the repository: no go.mod above the working folder")
		}
		dir = parent
	}
}
